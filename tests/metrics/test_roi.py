from typing import get_args

import pytest
import torch
from scipy.ndimage import gaussian_filter

from roi_ray.metrics.region import Region, Regions
from roi_ray.metrics.roi import (
    GaussianView,
    box_blur,
    mask_weights,
    resize_mask,
    whole_and_masked_means,
)
from roi_ray.settings import Weighting
from roi_ray.verification import literal


@pytest.mark.parametrize("shape", [(16, 16), (51, 77), (37, 300), (120, 49)])
def test_box_blur_equals_the_literal_box_filter(rng, shape) -> None:
    saliency = rng.random(shape)
    expected = literal.box_blur(saliency)
    assert box_blur(torch.from_numpy(saliency)).numpy() == pytest.approx(expected, abs=1e-12)
    single = box_blur(torch.from_numpy(saliency).float())
    assert single.dtype == torch.float32
    assert single.numpy() == pytest.approx(expected, abs=1e-6)


def test_box_covers_25_pixels_before_and_24_after() -> None:
    saliency = torch.zeros(101, 101)
    saliency[50, 50] = 1
    covered = torch.nonzero(box_blur(saliency))
    # Row 50 is in the window of rows i with i-25 <= 50 <= i+24.
    assert covered.min(0).values.tolist() == [26, 26]
    assert covered.max(0).values.tolist() == [75, 75]
    assert float(box_blur(saliency).max()) == pytest.approx(1 / 2500)


@pytest.mark.parametrize("size", [(8, 8), (13, 29), (1, 1), (64, 90)])
def test_resized_mask_is_the_mean_over_each_cell(rng, size) -> None:
    mask = rng.random((64, 90))
    ours = resize_mask(torch.from_numpy(mask)[None], *size)
    assert ours[0].numpy() == pytest.approx(literal.resize_mask(mask, *size), abs=1e-12)


@pytest.mark.parametrize("weighting", get_args(Weighting))
def test_mask_of_ones_changes_no_bit(rng, weighting) -> None:
    maps = torch.from_numpy(rng.random((3, 45, 67))).float()
    whole, masked = whole_and_masked_means(maps, mask_weights(torch.ones(1, 45, 67), weighting))
    assert torch.equal(whole, masked)
    assert whole.tolist() == pytest.approx(maps.double().mean((-2, -1)).tolist(), rel=1e-7)


@pytest.mark.parametrize("weighting", get_args(Weighting))
def test_masked_mean_equals_the_formula(rng, weighting) -> None:
    maps, mask = rng.random((2, 33, 21)), rng.random((33, 21)) ** 4
    weights = mask_weights(torch.from_numpy(mask)[None], weighting)
    _, ours = whole_and_masked_means(torch.from_numpy(maps), weights)
    expected = [literal.masked_mean(level, mask, weighting) for level in maps]
    assert ours.tolist() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("shape", [(11, 11), (37, 300), (161, 193)])
def test_gaussian_view_of_ones_is_one_everywhere(shape) -> None:
    mask = torch.ones(1, *shape, dtype=torch.float64)
    for divisor in (1, 2, 4):
        height, width = (max(side // divisor, 11) - 10 for side in shape)
        weights = GaussianView().resize(mask, height, width).float()
        assert torch.equal(weights, torch.ones(1, height, width))


def test_gaussian_view_equals_scipy(rng) -> None:
    mask = rng.random((40, 52))
    expected = gaussian_filter(mask, 1.5, truncate=3.4, mode="constant")[5:-5, 5:-5]
    ours = GaussianView().resize(torch.from_numpy(mask)[None], 30, 42)
    assert ours[0].numpy() == pytest.approx(expected, abs=1e-12)


def test_masks_with_a_mean_below_a_millionth_have_no_region() -> None:
    masks = torch.zeros(3, 1000, 1000, dtype=torch.float64)
    masks[1, 7, 9] = 0.999
    masks[2, 7, 9] = 1
    regions = Regions([Region(mask) for mask in masks], "mean")
    assert regions.has_region().tolist() == [False, False, True]


def test_normalised_mean_is_the_value_inside_the_region() -> None:
    maps = torch.full((1, 10, 10), 0.25)
    maps[0, :5] = 0.75
    mask = torch.zeros(1, 10, 10)
    mask[:, :5] = 0.1
    _, inside = whole_and_masked_means(maps, mask_weights(mask, "normalised"))
    assert float(inside) == pytest.approx(0.75, abs=1e-6)


KERNEL = """
from itertools import product
from roi_ray.metrics.roi import whole_and_masked_means
from roi_ray.metrics.triton import spatial_means
import torch
from scipy.ndimage import gaussian_filter

draw = torch.Generator().manual_seed(0)
# Maps smaller than one block, of whole blocks, and of whole blocks and a part.
precisions = ((torch.float32, 1e-7), (torch.float64, 1e-15))
for size, references in product(((7, 5), (64, 128), (130, 97)), (1, 3)):
    for shape, (dtype, tolerance) in product(((3, *size), (3, 2, *size)), precisions):
        maps = torch.rand(shape, generator=draw, dtype=dtype) * 2 - 1
        weights = torch.rand(references, *size, generator=draw, dtype=dtype)
        for ours, torchs in zip(
            spatial_means.whole_and_masked_means(maps, weights),
            whole_and_masked_means(maps.double(), weights.double()),
        ):
            assert ours.dtype == torch.float64
            assert torch.allclose(ours, torchs, rtol=0, atol=tolerance), (ours, torchs)
        ones = torch.ones(references, *size, dtype=dtype)
        whole, masked = spatial_means.whole_and_masked_means(maps, ones)
        assert torch.equal(whole, masked)
print("equal")
"""


def test_triton_kernel_equals_torch(run_in_triton_interpreter) -> None:
    assert run_in_triton_interpreter(KERNEL) == "equal\n"
