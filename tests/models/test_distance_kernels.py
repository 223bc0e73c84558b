import pytest
import torch

from roi_ray.models import lpips
from roi_ray.runtime import compiled
from tests.conftest import Photos, jpeg


def make_image(pixels):
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255


@pytest.mark.parametrize("name", ["alex", "st-alex"])
def test_maps_equal_those_of_torchs_operations(photos: Photos, monkeypatch, name) -> None:
    network, _ = lpips.load_lpips(name)
    x = photos["coffee"][:100, :120]
    images = torch.cat([make_image(jpeg(x, quality)) for quality in (20, 80)])
    activations = network.extract_activations(images)
    references = network.extract_activations(make_image(x))
    found = network.compute_maps(lpips._normalize_layers(references), activations)
    monkeypatch.setattr(compiled, "can_compile", lambda: False)
    expected = network.compute_maps(lpips._normalize_layers(references), activations)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-8)
    assert not all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_maps_of_identical_images_are_zero(photos: Photos) -> None:
    network, _ = lpips.load_lpips("alex")
    image = make_image(photos["chelsea"][:90, :90])
    maps = network.compute_maps(network.extract_features(image), network.extract_activations(image))
    assert all(not layer.any() for layer in maps)


def test_maps_need_no_memory_format(photos: Photos) -> None:
    network, _ = lpips.load_lpips("alex")
    x, y = (make_image(jpeg(photos["chelsea"][:90, :90], quality)) for quality in (20, 80))
    features, activations = network.extract_features(x), network.extract_activations(y)
    expected = network.compute_maps(features, activations)
    planes = [[layer.contiguous() for layer in layers] for layers in (features, activations)]
    for found, layer in zip(network.compute_maps(*planes), expected, strict=True):
        assert torch.equal(found, layer)
