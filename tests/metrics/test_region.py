import gc
import weakref
from itertools import product
from typing import get_args

import pytest
import torch

from roi_ray.metrics.images import Strip
from roi_ray.metrics.recursive_gaussian import RecursiveGaussianView
from roi_ray.metrics.region import Region, Regions
from roi_ray.metrics.roi import GaussianView, MaskRows, MaskView
from roi_ray.settings import Weighting

# Masks, and maps of SSIM's scales, of networks and of SSIMULACRA2.
SIZES = [
    ((161, 93), (151, 83)),
    ((161, 93), (71, 37)),
    ((162, 93), (31, 14)),
    ((64, 90), (64, 90)),
    ((64, 90), (15, 22)),
    ((37, 53), (1, 1)),
    ((37, 53), (12, 14)),
    ((131, 40), (33, 10)),
]
VIEWS = [MaskView(), MaskView(min_side=48), GaussianView(), RecursiveGaussianView()]
# SSIM's maps lose five rows on each side.
CASES = [
    (view, mask_size, map_size)
    for view, (mask_size, map_size) in product(VIEWS, SIZES)
    if not (isinstance(view, GaussianView) and mask_size == map_size)
]


def draw_mask(shape, seed=0):
    draw = torch.Generator().manual_seed(seed)
    return torch.rand(shape, generator=draw, dtype=torch.float64) ** 4


def split(height, rows):
    return [Strip(start, min(start + rows, height), height) for start in range(0, height, rows)]


@pytest.mark.parametrize("rows", [1, 3, 8, 50])
@pytest.mark.parametrize(("view", "mask_size", "map_size"), CASES)
def test_rows_of_a_view_are_those_of_the_whole(view, mask_size, map_size, rows) -> None:
    mask, (height, width) = draw_mask((1, *mask_size)), map_size
    expected = view.resize(mask, height, width)
    reads = []

    def read(start, end):
        assert 0 <= start < end <= mask_size[0]
        reads.append(end - start)
        return mask[:, start:end]

    mask_rows = MaskRows(read, mask_size[0])
    parts = [view.resize_rows(mask_rows, strip, width) for strip in split(height, rows)]
    result = torch.cat(parts, dim=1)
    assert result.shape == expected.shape
    assert torch.allclose(result, expected, rtol=0, atol=1e-12)
    # It reads only the rows that it needs: those under its cells, and its window's.
    per_row = max(mask_size[0], view.min_side) / height
    assert max(reads) <= (rows + 10) * per_row + 2


@pytest.mark.parametrize("view", VIEWS, ids=repr)
def test_rows_of_a_mask_of_ones_are_ones(view) -> None:
    for (mask_height, mask_width), (height, width) in SIZES[:3]:
        mask = torch.ones(1, mask_height, mask_width, dtype=torch.float64)
        rows = MaskRows(lambda start, end, mask=mask: mask[:, start:end], mask_height)
        for strip in split(height, 7):
            part = view.resize_rows(rows, strip, width)
            assert torch.equal(part.float(), torch.ones(1, strip.end - strip.start, width))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("weighting", get_args(Weighting))
@pytest.mark.parametrize("view", VIEWS, ids=repr)
def test_weights_of_rows_are_those_of_the_whole_map(view, weighting, dtype) -> None:
    masks = [draw_mask((300, 53), seed) for seed in range(2)]
    masks.append((masks[0] * 255).to(torch.uint8))
    for height, width in ((290, 43), (146, 25), (13, 6)):
        whole = Strip(0, height, height)
        regions = Regions([Region(mask) for mask in masks], weighting)
        expected = regions.get_weights(view, whole, width, dtype)
        for rows in (1, 10, 64):
            parts = [
                regions.get_weights(view, strip, width, dtype) for strip in split(height, rows)
            ]
            result = torch.cat(parts, dim=1)
            assert result.dtype == dtype
            tolerance = 1e-6 if dtype == torch.float32 else 1e-10
            assert torch.allclose(result, expected, rtol=tolerance, atol=1e-12)


def test_mask_that_is_0_everywhere_has_weights_of_0() -> None:
    regions = Regions([Region(torch.zeros(64, 40))], "normalised")
    for strip in split(54, 20):
        assert not regions.get_weights(GaussianView(), strip, 30, torch.float32).any()


def test_dropped_region_frees_its_memory_at_once() -> None:
    region = Region(torch.rand(40, 50))
    regions = Regions([region], "mean")
    weights = regions.get_weights(MaskView(), Strip(0, 40, 40), 50, torch.float32)
    references = [weakref.ref(each) for each in (region, region.rows, weights)]
    gc.disable()
    try:
        del region, regions, weights
        assert [reference() for reference in references] == [None, None, None]
    finally:
        gc.enable()
