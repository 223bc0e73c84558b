import numpy as np
import pytest
import torch

from roi_ray.metrics.images import Images
from roi_ray.metrics.xyb import halve, linear_light, positive_xyb
from roi_ray.runtime import compiled
from tests.conftest import Photos
from tests.metrics import literal_ssimulacra2 as literal


def samples(photos: Photos) -> torch.Tensor:
    return torch.from_numpy(photos["chelsea"][:81, :101].copy()).permute(2, 0, 1)[None]


@pytest.mark.parametrize("white", [255, 1023, 4095, 65535])
def test_linear_light_is_that_of_srgb_at_any_depth(white) -> None:
    levels = torch.arange(white + 1, dtype=torch.int32).view(1, 1, -1, 16)
    result = linear_light(Images(levels, white)).double().numpy()
    expected = literal.linear(levels.double().numpy() / white)
    assert np.abs(result - expected).max() < 1e-6
    # The polynomials' error is relative to the value.
    assert (np.abs(result - expected) <= 8e-6 * expected + 1e-9).all()


def test_floating_point_values_give_the_light_of_integers(photos: Photos) -> None:
    integers = samples(photos)
    light = linear_light(Images(integers, 255))
    values = Images(integers.float() / 255, 1)
    assert (linear_light(values) - light).abs().max() < 2e-7
    assert light.is_contiguous()


def test_xyb_equals_its_definition(photos: Photos, path) -> None:
    light = linear_light(Images(samples(photos), 255))
    expected = np.stack(literal.xyb(light[0].permute(1, 2, 0).double().numpy()))
    assert np.abs(positive_xyb(light)[0].numpy() - expected).max() < 3e-6


@pytest.mark.parametrize(("rgb", "xyb"), [((0, 0, 0), (0.42, 0.01, 0.55)), ((1, 1, 1), None)])
def test_grey_has_no_colour(rgb, xyb) -> None:
    x, y, b = positive_xyb(torch.tensor(rgb, dtype=torch.float32).view(1, 3, 1, 1)).flatten()
    assert (float(x), float(b)) == pytest.approx((0.42, 0.55), abs=1e-5)
    if xyb:
        assert float(y) == pytest.approx(xyb[1], abs=1e-6)


@pytest.mark.parametrize(("height", "width"), [(8, 10), (7, 10), (8, 9), (7, 9), (1, 1)])
def test_halving_repeats_an_odd_last_row_or_column(photos: Photos, path, height, width) -> None:
    light = linear_light(Images(samples(photos), 255))[:, :, :height, :width]
    expected = literal.halve(light[0].permute(1, 2, 0).double().numpy())
    assert halve(light)[0].permute(1, 2, 0).numpy() == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize("width", [101, 1])
def test_kernels_round_as_torch_does(photos: Photos, monkeypatch, width) -> None:
    pixels = torch.cat([samples(photos)[..., :width], samples(photos)[..., -width:]])

    def compute() -> list[torch.Tensor]:
        light = linear_light(Images(pixels, 255))
        return [light, positive_xyb(light), halve(light)]

    by_kernels = compute()
    monkeypatch.setattr(compiled, "can_compile", lambda: False)
    for result, expected in zip(by_kernels, compute(), strict=True):
        assert torch.equal(result, expected)
