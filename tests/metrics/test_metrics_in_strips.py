"""Metrics of images in strips are those of whole images, for all metrics without networks."""

from itertools import accumulate, pairwise
from typing import get_args

import numpy as np
import pytest
import torch

from roi_ray.errors import ImageTooSmall
from roi_ray.metrics import ms_ssim, mse, mse_ycbcr, psnr, ssimulacra2, strips, texture
from roi_ray.metrics.colour import METRIC as COLOUR
from roi_ray.metrics.images import ImagePair, Strip
from roi_ray.metrics.metric import Metric, RunningMeans, compute_numbers
from roi_ray.metrics.ms_ssim import METRIC as MS_SSIM
from roi_ray.metrics.mse import METRIC as MSE
from roi_ray.metrics.region import Region, Regions
from roi_ray.metrics.ssimulacra2 import METRIC as SSIMULACRA2
from roi_ray.metrics.strips import ImageStrips
from roi_ray.metrics.texture import METRIC as TEXTURE
from roi_ray.settings import Weighting
from tests.conftest import Photos, deepen, jpeg, needs_cuda, to_tensor

METRICS = [MSE, COLOUR, MS_SSIM, TEXTURE, SSIMULACRA2]
FUNCTIONS = [mse, psnr, mse_ycbcr, ms_ssim, texture, ssimulacra2]

# Heights of strips; of MS-SSIM's coarsest scales some have no position of the window, and some
# leave 11 rows or fewer.
CASES = [
    ("chelsea", 170, [32, 32, 32, 32, 42]),
    ("chelsea", 203, [64, 64, 64, 64, 44]),
    ("coffee", 161, [160, 1]),
    ("rocket", 255, [96, 96, 11]),
    ("rocket", 200, [128, 128, 10, 1]),
    ("astronaut", 61, [1] * 67),
    ("astronaut", 90, [3, 1, 2, 5, 1, 1, 4, 30, 7]),
    ("astronaut", 12, [5, 3, 1, 4]),
]


def cut(samples, white, rows) -> ImageStrips:
    """Cut images into strips of these rows."""
    size = samples.shape[-2:]
    parts = [Strip(start, end, size[0]) for start, end in pairwise([0, *accumulate(rows)])]
    return ImageStrips(
        len(samples), tuple(size), white, lambda start, end: samples[..., start:end, :], parts
    )


def compute_maps(
    metric: Metric, references: ImageStrips, *batches: ImageStrips
) -> list[list[torch.Tensor]]:
    """Compute the maps of batches of images; what is prepared of the references serves all."""
    preparing, begun = metric.begin(references), [metric.begin(images) for images in batches]
    parts: list[list[list[torch.Tensor]]] = [[] for _ in batches]
    for strip, *images in zip(references, *batches, strict=True):
        prepared = preparing.prepare(strip)
        for each, image, batch in zip(begun, images, parts, strict=True):
            batch.append(list(each.compute_maps(prepared, ImagePair(strip, image))))
    maps = [[torch.cat(rows, dim=-2) for rows in zip(*batch, strict=True)] for batch in parts]
    for each, batch in zip(begun, maps, strict=True):
        heights = each.map_heights(references.size[0])[: len(batch)]
        assert [level.shape[-2] for level in batch] == heights
    return maps


@pytest.mark.parametrize(("name", "width", "rows"), CASES)
@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_maps_in_strips_are_those_of_the_whole(photos: Photos, metric, name, width, rows) -> None:
    height = sum(rows)
    x = photos[name][-height:, -width:]
    several = [
        torch.stack([to_tensor(jpeg(x, quality)) for quality in q]) for q in ((5, 90), (40,))
    ]
    whole, in_strips = (
        compute_maps(metric, *(cut(s, 255, r) for s in (to_tensor(x)[None], *several)))
        for r in ([height], rows)
    )
    for expected, maps in zip(whole, in_strips, strict=True):
        for level, ours in zip(expected, maps, strict=True):
            # Bit for bit: rounding differs nowhere.
            assert torch.equal(ours, level)


@pytest.mark.parametrize(("name", "width", "rows"), CASES)
@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_numbers_in_strips_are_those_of_the_whole(
    photos: Photos, metric, name, width, rows
) -> None:
    x = photos[name][-sum(rows) :, -width:]
    samples = to_tensor(x)[None], torch.stack([to_tensor(jpeg(x, q)) for q in (5, 90)])
    mask = torch.rand(x.shape[:2], generator=torch.Generator().manual_seed(0))
    whole, in_strips = (
        compute_numbers(metric, *(cut(s, 255, r) for s in samples), Regions([Region(mask)], "mean"))
        for r in ([sum(rows)], rows)
    )
    for expected, numbers in zip(whole, in_strips, strict=True):
        for column, values in expected.items():
            assert torch.allclose(numbers[column], values, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_maps_of_several_references_of_more_bits(photos: Photos, metric) -> None:
    crops = [photos[name][:131, :118] for name in ("chelsea", "coffee")]
    x = torch.stack([to_tensor(deepen(crop, 12).astype(np.int32)) for crop in crops])
    y = torch.stack([to_tensor(deepen(jpeg(crop, 50), 16).astype(np.int32)) for crop in crops])
    for references, white, images in ((x, 4095, y), (y, 65535, y.roll(1, 0)), (x[:1], 4095, y)):
        (whole,), (in_strips,) = (
            compute_maps(metric, cut(references, white, rows), cut(images, 65535, rows))
            for rows in ([131], [64, 32, 35])
        )
        for level, ours in zip(whole, in_strips, strict=True):
            assert ours.dtype == level.dtype
            assert torch.equal(ours, level)


def force_strips(monkeypatch, pixels: int, device: str = "cpu") -> None:
    monkeypatch.setattr(strips, "WHOLE_PIXELS", 0)
    monkeypatch.setattr(strips, "STRIP_PIXELS", {device: pixels})


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
@pytest.mark.parametrize("weighting", get_args(Weighting))
@pytest.mark.parametrize(("height", "width"), [(193, 170), (64, 301)])
def test_functions_give_the_numbers_of_the_whole(
    photos: Photos, monkeypatch, function, weighting, height, width
) -> None:
    x = photos["chelsea"][:height, :width]
    images = torch.stack([to_tensor(jpeg(x, quality)) for quality in (10, 85)])
    reference = to_tensor(x)
    band, spot = torch.zeros(2, height, width)
    band[-9:] = 1
    spot[height // 3 : height // 2, : width // 2] = 0.3
    cases = [
        (reference, images, torch.stack([band, spot])),
        (reference, images[0], None),
        (images.flip(0) / 255, images / 255, band),
        (reference, images[1], torch.zeros(height, width)),
    ]

    def compute():
        return [function(*case, weighting) for case in cases]

    whole = compute()
    force_strips(monkeypatch, 64 * width)
    for expected, number in zip(whole, compute(), strict=True):
        assert number.shape == expected.shape
        # SSIMULACRA2 is a number of 0 to 100, PSNR of decibels.
        assert torch.allclose(number, expected, rtol=1e-7, atol=1e-7, equal_nan=True)


@pytest.mark.parametrize("function", [ms_ssim, ssimulacra2], ids=lambda each: each.__name__)
def test_mask_of_ones_changes_nothing_but_rounding(photos: Photos, monkeypatch, function) -> None:
    x, y = (to_tensor(each) for each in (photos["coffee"], jpeg(photos["coffee"], 30)))
    force_strips(monkeypatch, 1)
    number = function(x, y)
    for weighting in get_args(Weighting):
        masked = function(x, y, torch.ones(x.shape[1:]), weighting)
        assert float(masked) == pytest.approx(float(number), rel=1e-12)


def test_images_too_small_are_refused_in_strips_too(monkeypatch) -> None:
    force_strips(monkeypatch, 1)
    with pytest.raises(ImageTooSmall, match="10 x 100 is smaller"):
        ms_ssim(torch.zeros(3, 100, 10), torch.zeros(3, 100, 10))
    with pytest.raises(ImageTooSmall, match="7 x 100 pixels"):
        ssimulacra2(torch.zeros(3, 100, 7), torch.zeros(3, 100, 7))


@needs_cuda
@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
def test_gpu_gives_the_numbers_of_the_whole(photos: Photos, monkeypatch, function) -> None:
    x, y = (to_tensor(each).cuda() for each in (photos["coffee"], jpeg(photos["coffee"], 30)))
    mask = torch.zeros(x.shape[1:], device="cuda")
    mask[100:170, 50:] = 1

    def compute():
        return [function(x, y), function(x, y, mask, "normalised")]

    whole = compute()
    force_strips(monkeypatch, 64 * x.shape[-1], "cuda")
    for expected, number in zip(whole, compute(), strict=True):
        assert torch.allclose(number, expected, rtol=1e-6, atol=1e-6)


def test_metric_with_wrong_map_heights_is_an_error() -> None:
    class Shrunk(type(MSE)):
        def compute_maps(self, prepared, pair):
            return [maps[..., 1:, :] for maps in super().compute_maps(prepared, pair)]

    images = cut(torch.rand(1, 3, 40, 30), 1, [20, 20])
    means = RunningMeans(Shrunk(), images, None)
    for strip in images:
        means.add((), ImagePair(strip, strip))
    with pytest.raises(
        ValueError, match=r"'mse' have \[38\] rows, but its map_heights tells \[40\]"
    ):
        means.combine()
