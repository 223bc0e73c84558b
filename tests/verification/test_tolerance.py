"""What a precision may change, against scorers of that precision."""

from typing import get_args

import numpy as np
import pytest

from roi_ray.imaging.pixels import HighBitDepthImage
from roi_ray.scoring.scorer import Scorer
from roi_ray.settings import Precision, Settings
from roi_ray.verification import literal
from roi_ray.verification.tolerance import AGREEMENTS, allow
from tests.conftest import jpeg

NUMBERS = {"mse": 1e-3, "psnr": 30.0, "roi_mse": 1e-4, "roi_psnr": 40.0, "roi_fraction": 0.1}
NUMBERS |= {"ms_ssim": 0.9, "roi_ms_ssim": 0.09, "lpips": 0.2, "roi_lpips": 0.02, "width": 50}

CHROMA = ("mse_cb", "mse_cr", "roi_mse_cb", "roi_mse_cr")


def allow_fp32(name, given=True, rounding=0.0):
    return allow(name, NUMBERS, "fp32", given, normalised=False, rounding=rounding)


def test_exact_packages_allow_1e_5() -> None:
    for name in ("ms_ssim", "lpips", "roi_ms_ssim", "roi_lpips"):
        assert allow_fp32(name) == pytest.approx(1e-5, rel=0.15)
    assert allow_fp32("psnr") == pytest.approx(1e-5, rel=0.5)
    assert allow_fp32("mse") == 1e-9
    assert allow_fp32("width") == 0


def test_masks_by_a_network_and_float32_in_flat_areas_allow_more() -> None:
    for name in ("roi_mse", "roi_psnr", "roi_ms_ssim", "roi_lpips", "roi_fraction"):
        assert allow_fp32(name) < allow_fp32(name, given=False) < 40 * allow_fp32(name)
    assert allow_fp32("ms_ssim", rounding=1e-5) == pytest.approx(5e-5)
    assert allow_fp32("ms_ssim", rounding=1) == pytest.approx(1e-3, rel=0.02)


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_half_precision_stays_within_its_tolerance(photos, precision) -> None:
    """The differences are above fp32's tolerance, so that they need their own."""
    needed = 0
    for name in ("chelsea", "coffee"):
        x = np.ascontiguousarray(photos[name][:176, :200])
        half = Scorer(Settings(precision=precision), allow_slow_precision=True)
        exact = Scorer()
        several = [jpeg(x, quality) for quality in (10, 90)]
        pairs = zip(
            half.score(half.prepare(x), several),
            exact.score(exact.prepare(x), several),
            strict=True,
        )
        for stored, expected in pairs:
            numbers = expected.to_dict()
            for column, value in stored.to_dict().items():
                difference = abs(value - numbers[column])
                options = {"mask_is_given": False, "normalised": False}
                assert difference <= allow(column, numbers, precision, **options), column
                needed += difference > allow(column, numbers, "fp32", **options)
    assert needed > 10


@pytest.mark.parametrize("high", [8, 16])
def test_chroma_of_grey_images_is_rounding(photos, high) -> None:
    """Without colours, the exact error of chroma is 0 and float32's is not."""
    x = np.ascontiguousarray(photos["coffee"][:96, :80, :1].repeat(3, 2))
    y = (x.astype(np.float64) * 0.7 + 20).round().astype(np.uint8)
    mask = np.zeros(x.shape[:2], np.uint8)
    mask[-20:] = 255
    if high == 16:
        x = HighBitDepthImage(x.astype(np.uint16) * 257 + 3, bit_depth=16)
    scorer = Scorer()
    (scores,) = scorer.score(scorer.prepare(x, mask), [y])
    expected = {**scores.to_dict(), **dict.fromkeys(CHROMA, 0.0)}
    for column in CHROMA:
        allowed = allow(column, expected, "fp32", mask_is_given=True, normalised=False)
        assert getattr(scores, column) <= allowed < 1e-13


def test_a_hundredth_of_little_chroma_is_no_rounding() -> None:
    numbers = NUMBERS | {"mse_cb": 1e-9}
    assert allow("mse_cb", numbers, "fp32", mask_is_given=True, normalised=False) < 1e-11


def test_every_precision_of_a_run_has_an_agreement() -> None:
    assert AGREEMENTS.keys() == {*get_args(Precision)} - {"auto"}


def test_flat_images_are_within_the_measured_rounding(photos) -> None:
    """In float32, MS-SSIM of nearly flat images has few digits, in every implementation."""
    x = np.full((176, 176, 3), 225, np.uint8)
    y = np.full((176, 176, 3), 230, np.uint8)
    y[:40, :40] = photos["coffee"][:40, :40] // 32 + 226  # a little texture
    scorer = Scorer()
    (scores,) = scorer.score(scorer.prepare(x), [y])
    a, b = x / 255, y / 255

    def mean(level):
        return float(level.mean(dtype=np.float64))

    exact = literal.ms_ssim(a, b, mean)
    single = literal.ms_ssim(a.astype(np.float32), b.astype(np.float32), mean)
    difference, rounding = abs(scores.ms_ssim - exact), abs(single - exact)
    numbers = {"ms_ssim": exact}
    assert difference <= allow("ms_ssim", numbers, "fp32", True, False, rounding)


def test_lpips_of_nearly_equal_images_in_bf16_may_be_a_tenth_off() -> None:
    """As seen for one photograph in 16 and in 8 bits: 7.30e-4 in bf16, 6.69e-4 in fp32."""
    expected = {"lpips": 6.69e-4}
    for precision, within in (("bf16", 7.30e-4), ("fp32", 6.79e-4)):
        allowed = allow("lpips", expected, precision, mask_is_given=True, normalised=False)
        assert within < expected["lpips"] + allowed < 1.5 * expected["lpips"]
    fp32 = allow("lpips", expected, "fp32", mask_is_given=True, normalised=False)
    assert expected["lpips"] + fp32 < 7e-4


@pytest.mark.parametrize("name", ["coffee", "rocket"])
def test_texture_is_within_its_tolerance(photos, rng, name) -> None:
    """The images are a photograph, and noise on black, whose texture gained is about 40."""
    black = np.zeros((90, 120, 3), np.uint8)
    noise = rng.integers(0, 2, (90, 120, 1), np.uint8).repeat(3, 2) * np.uint8(255)
    photo = np.ascontiguousarray(photos[name][:200, :230])
    scorer = Scorer()
    for x, y in ((photo, jpeg(photo, 30)), (black, noise), (noise, black)):
        (scores,) = scorer.score(scorer.prepare(x), [y])
        levels = literal.texture_maps(x / 255, y / 255)
        expected = {column: float(np.sqrt(level.mean())) for column, level in levels.items()}
        for column, value in expected.items():
            allowed = allow(column, expected, "fp32", mask_is_given=True, normalised=False)
            assert abs(getattr(scores, column) - value) <= allowed <= 1e-5 * max(1, value)


def test_a_thousandth_of_texture_is_no_rounding() -> None:
    """Under a mask by the network, too: its error is that of the square."""
    expected = {"texture_lost": 0.2, "roi_texture_lost": 0.1, "roi_fraction": 0.2}
    for normalised in (False, True):
        given, made = (
            allow("roi_texture_lost", expected, "fp32", is_given, normalised)
            for is_given in (True, False)
        )
        assert given == 1e-5
        assert given < made < 2e-5
