from typing import get_args

import pytest
import torch

from roi_ray.metrics.roi import (
    box_blur,
    mask_weights,
    resize_mask,
    whole_and_masked_means,
)
from roi_ray.settings import Weighting
from tests.conftest import run_in_triton_interpreter
from tests.scoring import literal


@pytest.mark.parametrize("shape", [(16, 16), (51, 77), (37, 300), (120, 49)])
def test_smooth_is_the_box_filter(rng, shape) -> None:
    saliency = rng.random(shape)
    expected = literal.box(saliency)
    assert box_blur(torch.from_numpy(saliency)).numpy() == pytest.approx(expected, abs=1e-12)
    single = box_blur(torch.from_numpy(saliency).float())
    assert single.dtype == torch.float32
    assert single.numpy() == pytest.approx(expected, abs=1e-6)


def test_the_even_window_covers_25_before_and_24_after() -> None:
    saliency = torch.zeros(101, 101)
    saliency[50, 50] = 1
    covered = torch.nonzero(box_blur(saliency))
    # Row 50 is in the window of rows i with i-25 <= 50 <= i+24.
    assert covered.min(0).values.tolist() == [26, 26]
    assert covered.max(0).values.tolist() == [75, 75]
    assert float(box_blur(saliency).max()) == pytest.approx(1 / 2500)


@pytest.mark.parametrize("size", [(8, 8), (13, 29), (1, 1), (64, 90)])
def test_area_average_is_the_mean_of_what_a_cell_touches(rng, size) -> None:
    mask = rng.random((64, 90))
    ours = resize_mask(torch.from_numpy(mask)[None], *size)
    assert ours[0].numpy() == pytest.approx(literal.area(mask, *size), abs=1e-12)


@pytest.mark.parametrize("weighting", get_args(Weighting))
def test_a_mask_of_ones_changes_nothing_at_all(rng, weighting) -> None:
    maps = torch.from_numpy(rng.random((3, 45, 67))).float()
    whole, under = whole_and_masked_means(maps, mask_weights(torch.ones(1, 45, 67), weighting))
    assert torch.equal(whole, under)
    assert whole.tolist() == pytest.approx(maps.double().mean((-2, -1)).tolist(), rel=1e-7)


@pytest.mark.parametrize("weighting", get_args(Weighting))
def test_the_mean_under_a_mask_is_the_formula(rng, weighting) -> None:
    maps, mask = rng.random((2, 33, 21)), rng.random((33, 21)) ** 4
    weights = mask_weights(torch.from_numpy(mask)[None], weighting)
    _, ours = whole_and_masked_means(torch.from_numpy(maps), weights)
    expected = [literal.under(level, mask, weighting) for level in maps]
    assert ours.tolist() == pytest.approx(expected, rel=1e-12)


def test_without_a_region_normalised_is_the_basic_metric_and_mean_is_zero(rng) -> None:
    maps, empty = torch.from_numpy(rng.random((1, 20, 20))).float(), torch.zeros(1, 20, 20)
    whole, under = whole_and_masked_means(maps, mask_weights(empty, "normalised"))
    assert torch.equal(whole, under)
    assert float(whole_and_masked_means(maps, mask_weights(empty, "mean"))[1]) == 0


def test_normalised_reads_the_quality_inside_the_region() -> None:
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

draw = torch.Generator().manual_seed(0)
# Of less than a block of the kernel's, of a whole number of blocks, and of something between.
for size, references in product(((7, 5), (64, 128), (130, 97)), (1, 3)):
    for shape in ((3, *size), (3, 2, *size)):
        maps = torch.rand(shape, generator=draw) * 2 - 1
        weights = torch.rand(references, *size, generator=draw)
        for ours, torchs in zip(
            spatial_means.whole_and_masked_means(maps, weights),
            whole_and_masked_means(maps.double(), weights.double()),
        ):
            assert ours.dtype == torch.float64
            assert torch.allclose(ours, torchs, rtol=0, atol=1e-7), (ours, torchs)
        whole, under = spatial_means.whole_and_masked_means(maps, torch.ones(references, *size))
        assert torch.equal(whole, under)
print("the same")
"""


def test_the_kernel_of_a_gpu_is_the_same() -> None:
    assert run_in_triton_interpreter(KERNEL) == "the same\n"
