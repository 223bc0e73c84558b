import pytest
import torch
import torch.nn.functional as F
from torch import nn

from roi_ray.models.lpips import load_lpips
from roi_ray.models.winograd import WinogradConv2d, use_winograd
from roi_ray.runtime import compiled
from tests.conftest import Photos

CASES = [(32, 48, 21, 19), (64, 32, 16, 64), (32, 32, 13, 31), (32, 40, 90, 110)]


def make_layer(channels, out_channels):
    torch.manual_seed(3)
    layers = nn.Sequential(nn.Conv2d(channels, out_channels, 3, padding=1))
    use_winograd(layers.requires_grad_(False))
    assert isinstance(layers[0], WinogradConv2d)
    return layers[0]


def make_features(photos: Photos, channels, height, width, count=1):
    """Make features of photographs, (count, channels, height, width), by random filters."""
    torch.manual_seed(4)
    pixels = torch.from_numpy(photos["coffee"][: height + 2, : count * width + 2].copy())
    image = pixels.permute(2, 0, 1)[None].float() / 255
    features = F.conv2d(image, torch.randn(channels, 3, 3, 3)).relu()
    return torch.cat(features.split(width, dim=-1)).contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(("channels", "out_channels", "height", "width"), CASES)
@pytest.mark.parametrize("rows_padded", [True, False])
def test_winograd_equals_a_direct_convolution(
    photos: Photos, channels, out_channels, height, width, rows_padded
) -> None:
    layer = make_layer(channels, out_channels)
    x = make_features(photos, channels, height, width)
    padding = (1 if rows_padded else 0, 1)
    assert layer.bias is not None
    exact = F.conv2d(x.double(), layer.weight.double(), layer.bias.double(), padding=padding)
    found = layer(x) if rows_padded else layer.convolve(x, padding)
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert not torch.equal(found, F.conv2d(x, layer.weight, layer.bias, padding=padding))
    torch.testing.assert_close(found.double(), exact, rtol=1e-5, atol=1e-5 * float(exact.std()))


def test_image_in_a_batch_and_any_number_of_threads_give_equal_bits(photos: Photos) -> None:
    layer = make_layer(64, 64)
    batch = make_features(photos, 64, 70, 90, count=3)
    threads = torch.get_num_threads()
    together = layer(batch)
    try:
        torch.set_num_threads(1)
        for image, expected in zip(batch, together, strict=True):
            assert torch.equal(layer(image[None])[0], expected)
    finally:
        torch.set_num_threads(threads)


def test_other_precisions_small_maps_and_gradients_use_torch(photos: Photos) -> None:
    layer = make_layer(32, 32)
    x = make_features(photos, 32, 32, 32)
    for inputs in (x[..., :8, :8], x.double(), x.bfloat16()):
        layer.to(inputs.dtype)
        assert torch.equal(layer(inputs), F.conv2d(inputs, layer.weight, layer.bias, padding=1))
    layer.to(torch.float32)
    layer(x.requires_grad_()).sum().backward()
    assert x.grad is not None


def test_changed_weights_are_transformed_again(photos: Photos) -> None:
    layer = make_layer(32, 32)
    x = make_features(photos, 32, 32, 32)
    before = layer(x)
    layer.weight.mul_(2)
    assert layer.bias is not None
    bias = layer.bias[:, None, None]
    torch.testing.assert_close(layer(x) - bias, 2 * (before - bias))


def test_without_a_compiler_it_is_torchs_convolution(photos: Photos, monkeypatch) -> None:
    monkeypatch.setattr(compiled, "can_compile", lambda: False)
    layer = make_layer(32, 32)
    x = make_features(photos, 32, 32, 32)
    assert torch.equal(layer(x), F.conv2d(x, layer.weight, layer.bias, padding=1))


def test_only_suitable_convolutions_are_replaced() -> None:
    layers = nn.Sequential(
        nn.Conv2d(64, 64, 3, padding=1, stride=2),
        nn.Conv2d(64, 64, 3, padding=2, dilation=2),
        nn.Conv2d(64, 64, 3, padding=1, groups=2),
        nn.Conv2d(64, 64, 1),
        nn.Conv2d(64, 64, 3, padding=1, padding_mode="reflect"),
        nn.Conv2d(3, 64, 3, padding=1),
    )
    use_winograd(layers)
    assert not any(isinstance(layer, WinogradConv2d) for layer in layers)


@pytest.mark.parametrize("level", [1, 60])
def test_lpips_keeps_its_digits(photos: Photos, monkeypatch, level) -> None:
    network, _ = load_lpips("alex")
    pixels = torch.from_numpy(photos["coffee"][:256, :256].copy()).permute(2, 0, 1)[None]
    changed = pixels.clone()
    changed[..., ::3, ::5] ^= level

    def compute() -> float:
        x, y = pixels.float() / 255, changed.float() / 255
        maps = network.compute_maps(network.extract_features(x), network.extract_activations(y))
        return float(sum(layer.mean(dtype=torch.float64) for layer in maps))

    found = compute()
    monkeypatch.setattr(compiled, "can_compile", lambda: False)
    assert found == pytest.approx(compute(), rel=2e-6, abs=1e-9)
