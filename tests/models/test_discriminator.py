import hashlib
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn
from torch.nn.utils import parametrizations

from roi_ray.errors import WeightsError
from roi_ray.imaging.decode import decode_image
from roi_ray.models import loader
from roi_ray.models.discriminator import build_patch_layers, load_discriminator
from roi_ray.settings import DEFAULT_DISCRIMINATOR
from roi_ray.sweep.builtin import make_codec
from roi_ray.sweep.sample_images import photographs
from roi_ray.sweep.source import SourceImage

# Mean d_loss of original photographs.
RECORDED = {"astronaut": 0.491747, "coffee": 0.371836, "rocket": 0.391344}
CARD = loader.WEIGHTS_FOLDER / f"{DEFAULT_DISCRIMINATOR}.md"


def build_published(channels=3, width=8, strided=3, norm=nn.BatchNorm2d, bias=False):
    """Build the layers that pix2pix and taming-transformers build, with random tensors."""
    widths = [width * min(2**level, 8) for level in range(strided + 1)]
    modules = [nn.Conv2d(channels, width, 4, 2, 1), nn.LeakyReLU(0.2)]
    for level in range(1, strided + 1):
        stride = 2 if level < strided else 1
        modules.append(nn.Conv2d(widths[level - 1], widths[level], 4, stride, 1, bias=bias))
        modules += [norm(widths[level]), nn.LeakyReLU(0.2)]
    modules.append(nn.Conv2d(widths[-1], 1, 4, 1, 1))
    for module in modules:
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.weight.data, module.running_var):
                tensor.uniform_(0.5, 2)
            for tensor in (module.bias.data, module.running_mean):
                tensor.normal_()
    return nn.Sequential(*modules).eval()


def save_tensors(path, sequence, prefix, **more):
    tensors = {f"{prefix}{key}": value for key, value in sequence.state_dict().items()}
    torch.save(tensors | more, path)
    return str(path)


@pytest.fixture(autouse=True)
def fixed_seed():
    torch.manual_seed(0)


@pytest.fixture
def batch():
    return torch.rand(2, 3, 50, 67)


def check_logits_equal(source, live, batch):
    network, _ = load_discriminator(source)
    assert not network.training
    with torch.inference_mode():
        expected = live(2 * batch - 1)
        torch.testing.assert_close(network(batch), expected, atol=1e-5, rtol=1e-5)
    return network


@pytest.mark.parametrize("prefix", ["model.", "main.", "discriminator.main.", "netD.module.model."])
@pytest.mark.parametrize(
    ("norm", "bias"),
    [(nn.BatchNorm2d, False), (nn.InstanceNorm2d, True), (lambda width: nn.Identity(), False)],
    ids=["batch", "instance", "none"],
)
def test_published_layout_loads_with_equal_logits(tmp_path, batch, prefix, norm, bias):
    live = build_published(norm=norm, bias=bias)
    check_logits_equal(save_tensors(tmp_path / "d.pth", live, prefix), live, batch)


@pytest.mark.parametrize(("strided", "min_side"), [(1, 6), (2, 12), (3, 24), (4, 48)])
def test_min_side_is_the_smallest_image_with_a_patch(tmp_path, strided, min_side):
    live = build_published(strided=strided)
    source = save_tensors(tmp_path / "d.pth", live, "model.")
    network = check_logits_equal(source, live, torch.rand(1, 3, 64, 96))
    assert network.min_side == min_side
    assert network(torch.rand(1, 3, min_side, min_side)).shape == (1, 1, 1, 1)
    with pytest.raises(RuntimeError):
        network(torch.rand(1, 3, min_side, min_side - 1))


def test_discriminator_is_found_in_a_whole_checkpoint(tmp_path, batch):
    live = build_published()
    tensors = {f"loss.discriminator.main.{k}": v for k, v in live.state_dict().items()}
    others = {
        "encoder.conv_in.weight": torch.rand(8, 3, 3, 3),
        "loss.perceptual_loss.net.slice1.0.weight": torch.rand(64, 3, 3, 3),
        "loss.perceptual_loss.lin0.model.1.weight": torch.rand(1, 64, 1, 1),
    }
    path = tmp_path / "last.ckpt"
    torch.save({"epoch": 3, "state_dict": others | tensors}, path)
    check_logits_equal(str(path), live, batch)


@pytest.mark.parametrize(
    "spectral_norm", [nn.utils.spectral_norm, parametrizations.spectral_norm], ids=["old", "new"]
)
def test_spectral_norm_is_folded_into_the_weights(tmp_path, batch, spectral_norm):
    live = build_published(norm=lambda width: nn.Identity(), bias=False)
    for layer in live:
        if isinstance(layer, nn.Conv2d):
            spectral_norm(layer)
    live.train()(batch)
    check_logits_equal(save_tensors(tmp_path / "d.pth", live.eval(), "model."), live, batch)


def test_packaged_layout_has_bias_and_no_norm(tmp_path, batch):
    live = build_patch_layers(8)
    path = tmp_path / "d.safetensors"
    save_file({f"model.{key}": value for key, value in live.state_dict().items()}, path)
    network = check_logits_equal(str(path), live, batch)
    assert network.min_side == 24
    assert not [layer for layer in network.layers if isinstance(layer, nn.InstanceNorm2d)]


def build_separable(norm):
    """Build a discriminator of depthwise and pointwise layers, one of them with stride 2."""

    def separate(in_channels, out_channels, stride):
        return [
            nn.Conv2d(in_channels, in_channels, 4, stride, 1, groups=in_channels),
            nn.Conv2d(in_channels, out_channels, 1),
            *norm(out_channels),
            nn.LeakyReLU(0.2),
        ]

    first = [nn.Conv2d(3, 8, 4, 2, 1), nn.LeakyReLU(0.2)]
    last = nn.Conv2d(24, 1, 4, 1, 1)
    return nn.Sequential(*first, *separate(8, 16, 2), *separate(16, 24, 1), last).eval()


@pytest.mark.parametrize("norm", [lambda width: [nn.InstanceNorm2d(width)], lambda width: []])
def test_separable_layers_load_with_equal_logits(tmp_path, batch, norm):
    live = build_separable(norm)
    network = check_logits_equal(save_tensors(tmp_path / "d.pth", live, "model."), live, batch)
    assert network.min_side == 12
    assert network(torch.rand(1, 3, 12, 12)).shape == (1, 1, 1, 1)


def test_conditional_discriminator_is_a_weights_error(tmp_path):
    source = save_tensors(tmp_path / "latest_net_D.pth", build_published(channels=6), "model.")
    with pytest.raises(WeightsError, match=r"latest_net_D.pth judges 6 channels, not 3"):
        load_discriminator(source)


def test_other_networks_and_missing_files_are_weights_errors(tmp_path):
    def check_refused(tensors, text):
        path = tmp_path / "file.pth"
        torch.save(tensors, path)
        with pytest.raises(WeightsError, match=text) as raised:
            load_discriminator(str(path))
        assert "Accepted are the packaged" in str(raised.value)

    good = {f"model.{key}": value for key, value in build_published().state_dict().items()}
    check_refused(
        {"fc.weight": torch.rand(3, 3)}, "no patch discriminator among its 1 tensors .fc.wei"
    )
    check_refused(
        good | {"main.0.weight": torch.rand(8, 3, 4, 4)}, r"more than one \(main., model.\)"
    )
    check_refused(
        good | {"model.5.weight": torch.rand(32, 16, 3, 3)},
        "holds no patch discriminator: its conv",
    )
    check_refused(
        good | {"model.5.weight": torch.rand(32, 9, 4, 4)}, "holds no patch discriminator: its conv"
    )
    check_refused(
        good | {"model.5.weight": torch.rand(16, 1, 4, 4)},  # depthwise, but to 16 channels
        "holds no patch discriminator: its conv",
    )
    actnorm = {key: value for key, value in good.items() if not key.startswith("model.3.")}
    check_refused(
        actnorm | {"model.3.loc": torch.rand(1, 16, 1, 1)},
        r"module 3 \(loc\) does not fit a BatchNorm",
    )
    with pytest.raises(WeightsError, match="nowhere"):
        load_discriminator(str(tmp_path / "nowhere.pth"))


def test_packaged_weights_match_the_model_card():
    network, identity = load_discriminator()
    assert identity.name == f"{DEFAULT_DISCRIMINATOR}.safetensors"
    assert identity.sha256 in CARD.read_text()
    file = Path(loader.WEIGHTS_FOLDER) / identity.name
    assert hashlib.sha256(file.read_bytes()).hexdigest() == identity.sha256
    assert file.stat().st_size < 6e6
    assert network.min_side == 24
    assert not any(parameter.requires_grad for parameter in network.parameters())
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}


def test_packaged_d_loss_rises_as_jpeg_quality_falls():
    network, _ = load_discriminator()
    means = {"original": 0.0, 90: 0.0, 70: 0.0, 50: 0.0, 30: 0.0, 10: 0.0}
    jpeg = make_codec("jpeg")
    photos = list(photographs().values())
    for path in photos:
        original = decode_image(path.read_bytes())
        for quality in means:
            data = (
                None if quality == "original" else jpeg.encode(SourceImage(original), quality).data
            )
            pixels = original if data is None else decode_image(data)
            planes = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None] / 255
            with torch.inference_mode():
                means[quality] += F.softplus(-network(planes)).mean().item() / len(photos)
    assert list(means.values()) == sorted(means.values())
    assert means["original"] + 0.5 < means[90] + 0.5 < means[30]


def test_packaged_discriminator_gives_the_recorded_losses():
    network, _ = load_discriminator()
    for name, expected in RECORDED.items():
        pixels = decode_image(photographs()[name].read_bytes()).copy()
        planes = torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255
        with torch.inference_mode():
            d_loss = F.softplus(-network(planes)).mean().item()
        assert d_loss == pytest.approx(expected, abs=1e-4)
