"""Images of 8 to 16 bits, against float64 arithmetic and the metrics' own packages."""

import itertools

import numpy as np
import pytest
import torch
from pytorch_msssim import ms_ssim as package_ms_ssim

import roi_ray
from roi_ray.errors import ImageReadError
from roi_ray.imaging.pixels import HighBitDepthImage, bit_depth_of, to_8_bits
from roi_ray.models import discriminator
from roi_ray.scoring.scorer import Scorer
from roi_ray.settings import DEFAULT_DISCRIMINATOR, Settings
from roi_ray.verification import literal
from tests.conftest import deepen, jpeg, needs_cuda
from tests.models.test_lpips import build_package_alex, build_shift_tolerant_package

DEPTHS = (8, 10, 12, 16)
SIZE = (170, 190)  # five scales of MS-SSIM


@pytest.fixture(scope="module", params=["cpu", pytest.param("cuda", marks=needs_cuda)])
def scorers(request):
    return {
        weighting: Scorer(Settings(roi_weighting=weighting), device=request.param)
        for weighting in ("mean", "normalised")
    }


@pytest.fixture(scope="module")
def images(photos):
    """A photograph and a distorted version of it, at every depth."""
    photo = np.ascontiguousarray(photos["coffee"][100:270, 200:390])
    assert photo.shape[:2] == SIZE
    sides = (photo, jpeg(photo, 85))
    return [
        {depth: side if depth == 8 else deepen(side, depth, seed=depth) for depth in DEPTHS}
        for side in sides
    ]


@pytest.fixture(scope="module")
def mask():
    return np.random.default_rng(3).integers(0, 256, SIZE, dtype=np.uint8)


def to_unit(image):
    """Return values in [0, 1], float64."""
    return np.asarray(image, np.float64) / (2 ** bit_depth_of(image) - 1)


def to_batch(image):
    """Return values in [0, 1], float64, (1, 3, H, W)."""
    return torch.from_numpy(to_unit(image)).permute(2, 0, 1)[None]


PAIRS = list(itertools.product(DEPTHS, DEPTHS))


@pytest.mark.parametrize("weighting", ["mean", "normalised"])
@pytest.mark.parametrize(("a", "b"), [pair for pair in PAIRS if pair != (8, 8)])
def test_mse_equals_float64_arithmetic(images, scorers, mask, a, b, weighting) -> None:
    x, y = images[0][a], images[1][b]
    scorer = scorers[weighting]
    error = ((to_unit(x) - to_unit(y)) ** 2).mean(2)
    for given in (mask, mask // 254 * 255, None):
        prepared = scorer.prepare(x, given)
        (scores,) = scorer.score(prepared, [y])
        region = prepared.mask.double().cpu().numpy() if given is None else given / 255
        roi_mse = literal.masked_mean(error, region, weighting)
        assert scores.mse == pytest.approx(error.mean(), rel=1e-12)
        assert scores.roi_mse == pytest.approx(roi_mse, rel=1e-12)
        assert scores.psnr == pytest.approx(literal.psnr(error.mean()), abs=1e-9)
        assert scores.roi_psnr == pytest.approx(literal.psnr(roi_mse), abs=1e-9)
        assert (scores.reference_bit_depth, scores.distorted_bit_depth) == (a, b)


@pytest.mark.parametrize(("a", "b"), PAIRS)
def test_all_numbers_equal_the_packages(images, scorers, package, mask, a, b) -> None:
    x, y = images[0][a], images[1][b]
    scorer = scorers["mean"]
    (scores,) = scorer.score(scorer.prepare(x, mask), [y])
    d, _ = discriminator.load_discriminator(DEFAULT_DISCRIMINATOR)
    expected = literal.compute_scores(to_unit(x), to_unit(y), mask / 255, "mean", package, d)
    got = {key: value for key, value in scores.to_dict().items() if key in expected}
    assert got == pytest.approx(expected, abs=1e-5)
    similarity = package_ms_ssim(to_batch(x), to_batch(y), data_range=1.0)
    assert scores.ms_ssim == pytest.approx(float(similarity), abs=1e-5)
    with torch.inference_mode():
        distance = package(to_batch(x).float(), to_batch(y).float(), normalize=True)
    assert scores.lpips == pytest.approx(float(distance), abs=1e-5)


@pytest.fixture(scope="module")
def package():
    return build_package_alex()


def test_shift_tolerant_lpips_equals_its_package(images) -> None:
    package = build_shift_tolerant_package("st-alex")
    scorer = Scorer(Settings(lpips="st-alex"))
    for a, b in ((16, 8), (10, 12)):
        x, y = images[0][a], images[1][b]
        (scores,) = scorer.score(scorer.prepare(x), [y])
        with torch.inference_mode():
            distance = package(to_batch(x).float(), to_batch(y).float(), normalize=True)
        assert scores.lpips == pytest.approx(float(distance), abs=1e-5)


def test_detail_below_8_bits_is_seen(images, scorers) -> None:
    """Rounded to 8 bits before scoring, both would be identical."""
    x = images[0][16]
    scorer = scorers["mean"]
    (scores,) = scorer.score(scorer.prepare(x), [to_8_bits(x)])
    assert 55 < scores.psnr < 60
    assert 0 < scores.lpips < 1e-3
    assert scores.ms_ssim < 1


def test_equal_values_of_two_depths_are_identical(photos, scorers) -> None:
    """8-bit values times 257 are the same in 16 bits."""
    x = photos["rocket"][:64, :80]
    deep = HighBitDepthImage(x * np.uint16(257), 16)
    scorer = scorers["mean"]
    for reference, image in ((x, deep), (deep, x), (deep, deep)):
        (scores,) = scorer.score(scorer.prepare(reference), [image])
        assert (scores.mse, scores.psnr) == (0, 100)
        assert scores.lpips == pytest.approx(0, abs=1e-9)
        assert scores.ms_ssim == pytest.approx(1, abs=1e-6)


def test_mask_of_ones_equals_the_whole_image_exactly(images, scorers) -> None:
    ones = np.full(SIZE, 255, np.uint8)
    for scorer in scorers.values():
        (scores,) = scorer.score(scorer.prepare(images[0][12], ones), [images[1][8]])
        for name in ("mse", "psnr", "ms_ssim", "lpips", "d_loss"):
            assert getattr(scores, f"roi_{name}") == getattr(scores, name)


@pytest.mark.parametrize("batch", [1, 4])
def test_scores_of_8_bit_pairs_do_not_depend_on_deep_pairs_in_the_call(images, batch) -> None:
    scorer = Scorer(batch=batch)
    x, other = images[0][8], np.ascontiguousarray(images[0][8][::-1])
    ys = [jpeg(x, quality) for quality in (10, 40, 70, 90)]
    plain = scorer.prepare_all([x, other], [None, None])
    expected = scorer.score_pairs([(plain[0], y) for y in ys] + [(plain[1], other)])

    deep = [images[0][depth] for depth in (10, 16)]
    mixed = scorer.prepare_all([deep[0], x, deep[1], other], [None] * 4)
    assert [reference.bit_depth for reference in mixed] == [10, 8, 16, 8]
    pairs = [
        (mixed[0], ys[0]),
        (mixed[1], ys[0]),
        (mixed[1], images[1][16]),
        (mixed[1], ys[1]),
        (mixed[2], images[1][10]),
        (mixed[1], ys[2]),
        (mixed[1], ys[3]),
        (mixed[0], images[1][10]),
        (mixed[3], other),
    ]
    scores = scorer.score_pairs(pairs)
    assert [scores[position] for position in (1, 3, 5, 6, 8)] == expected
    depths = [(each.reference_bit_depth, each.distorted_bit_depth) for each in scores]
    assert depths == [(reference.bit_depth, bit_depth_of(y)) for reference, y in pairs]
    for (reference, image), got in zip(pairs, scores, strict=True):
        (alone,) = scorer.score_pairs([(reference, image)])
        assert got.to_dict() == pytest.approx(alone.to_dict(), rel=1e-5, abs=1e-6)


def test_one_call_scores_arrays_of_different_depths(images) -> None:
    x, y = images[0][16], images[1][8]
    scores = roi_ray.score(x, [y, images[1][10]], device="cpu")
    assert [each.distorted_bit_depth for each in scores] == [8, 10]
    assert scores[0].mse == pytest.approx(((to_unit(x) - to_unit(y)) ** 2).mean(), rel=1e-12)
    assert repr(scores[1]).startswith("Scores(190 x 170, 10-bit against 16-bit, mse=0.0")
    assert roi_ray.score(y, y, device="cpu").reference_bit_depth == 8
    with pytest.raises(ImageReadError, match="distorted image 2: a uint16 array does not say"):
        roi_ray.score(x, [y, np.asarray(x)], device="cpu")
    with pytest.raises(ImageReadError, match="mask: an array of uint16"):
        roi_ray.score(x, y, mask=x[..., 0], device="cpu")


@needs_cuda
@pytest.mark.parametrize(("a", "b"), [(16, 8), (10, 12), (8, 16)])
def test_cuda_equals_the_cpu(images, mask, a, b) -> None:
    x, y = images[0][a], images[1][b]
    cpu, gpu = Scorer(), Scorer(device="cuda", batch=3)
    (want,) = cpu.score(cpu.prepare(x, mask), [y])
    for got in gpu.score(gpu.prepare(x, mask), [y] * 4):
        for name in ("mse", "roi_mse", "psnr", "roi_psnr"):
            assert getattr(got, name) == pytest.approx(getattr(want, name), rel=1e-12), name
        assert got.to_dict() == pytest.approx(want.to_dict(), rel=1e-5, abs=1e-6)
