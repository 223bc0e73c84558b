"""Means, medians and mean curves of BD-rates, and the reasons why there are none."""

import numpy as np
import pytest

from roi_ray.decision.flags import Flag
from roi_ray.decision.savings import compute_saving

RATES = np.geomspace(0.25, 2, 5)
QUALITY = np.array([28.0, 31, 34, 36, 39])


def make_images(images, seed=0):
    """Rates and quality of an anchor, (images, 5)."""
    random = np.random.default_rng(seed)
    rates = RATES * random.uniform(0.5, 2, (images, 1))
    return rates, QUALITY + random.uniform(-1, 1, (images, 1))


def save(rates, quality, other_rates, other_quality, metric="psnr", **options):
    return compute_saving("new", metric, rates, quality, other_rates, other_quality, **options)


def test_identical_codecs_save_exactly_nothing() -> None:
    images = make_images(24)
    saving = save(*images, *images)
    for estimate in (saving.mean, saving.median, saving.curve):
        assert (estimate.value, estimate.low, estimate.high) == (0, 0, 0)
    assert saving.valid == saving.comparable == saving.curve_images == 24
    assert (saving.reason, saving.curve_flag, saving.flags) == (None, None, {})


def test_factors_of_the_bit_rate_are_averaged() -> None:
    rates, quality = make_images(24)
    factors = np.random.default_rng(1).uniform(0.6, 1.1, (24, 1))
    saving = save(rates, quality, rates * factors, quality)
    expected = 100 * (factors[:, 0] - 1)
    np.testing.assert_allclose(saving.per_image, expected, atol=1e-9)
    assert saving.mean.value == pytest.approx(expected.mean())
    assert saving.median.value == pytest.approx(np.median(expected))
    assert saving.mean.low < saving.mean.value < saving.mean.high
    assert saving.median.low in saving.per_image and saving.median.high in saving.per_image


@pytest.mark.parametrize("rate", [0.0, -1.0])
def test_mean_curve_leaves_out_images_with_a_bit_rate_of_zero(rate) -> None:
    rates, quality = make_images(8)
    others = 0.8 * rates
    others[2, 1] = rate
    saving = save(rates, quality, others, quality)
    assert saving.flags == {Flag.ZERO_RATE: 1}
    assert saving.mean.value == pytest.approx(-20)
    assert (saving.curve.value, saving.curve_images) == (pytest.approx(-20), 7)


def test_mean_curve_weights_images_by_their_bits() -> None:
    rates = np.stack([RATES, 9 * RATES])
    quality = np.stack([QUALITY, QUALITY])
    saving = save(rates, quality, rates * [[0.5], [1.0]], quality)
    assert saving.mean.value == pytest.approx(-25)
    assert saving.curve.value == pytest.approx(100 * (9.5 / 10 - 1))


@pytest.mark.parametrize(("images", "has_interval"), [(5, False), (6, True)])
def test_few_images_have_no_interval(images, has_interval) -> None:
    rates, quality = make_images(images)
    saving = save(rates, quality, 0.8 * rates, quality)
    for estimate in (saving.mean, saving.median, saving.curve):
        assert estimate.value == pytest.approx(-20)
        assert (estimate.low is not None) == (estimate.high is not None) == has_interval


def test_the_same_seed_gives_the_same_interval() -> None:
    rates, quality = make_images(12)
    factors = np.linspace(0.7, 0.9, 12)[:, None]
    first, same, other = (
        save(rates, quality, rates * factors, quality, seed=seed) for seed in (0, 0, 1)
    )
    assert first.mean == same.mean and first.curve == same.curve
    assert first.mean != other.mean


@pytest.mark.parametrize(("broken", "valid"), [(6, True), (7, False)])
def test_mean_needs_three_quarters_of_the_images(broken, valid) -> None:
    rates, quality = make_images(24)
    worse = quality.copy()
    worse[:broken, 2] = worse[:broken, 1] - 1
    saving = save(rates, quality, rates, worse)
    assert saving.flags == {Flag.NOT_MONOTONIC: broken} and saving.valid == 24 - broken
    assert np.isnan(saving.per_image).sum() == broken
    if valid:
        assert saving.reason is None and saving.mean.value == 0
    else:
        assert saving.mean is None and saving.median is None
        assert saving.reason == "7 of 24 images: quality does not rise with the bit rate"


def test_images_without_a_region_of_interest_do_not_count() -> None:
    rates, quality = make_images(12)
    quality[:10] = np.nan
    saving = save(rates, quality, 0.9 * rates, quality, metric="roi_psnr")
    assert saving.flags == {Flag.NOT_MEASURED: 10} and saving.comparable == saving.valid == 2
    assert saving.mean.value == pytest.approx(-10) and saving.mean.low is None
    assert saving.curve.value == pytest.approx(-10) and saving.curve_images == 2
    quality[:] = np.nan
    nothing = save(rates, quality, rates, quality, metric="roi_psnr")
    assert nothing.mean is None and "12 of 12 images: no value" in nothing.reason


def test_failed_images_count() -> None:
    rates, quality = make_images(12)
    other_rates, other_quality = rates.copy(), quality.copy()
    other_rates[:4], other_quality[:4] = np.nan, np.nan
    saving = save(rates, quality, other_rates, other_quality)
    assert saving.mean is None and saving.reason == "4 of 12 images: fewer than 4 points"
    assert saving.curve is None and saving.curve_flag.startswith("8 of 12 images have all points")


def test_lossless_points_of_psnr_are_no_points() -> None:
    rates, quality = make_images(8)
    with_lossless = np.hstack([rates, 10 * rates[:, -1:]])
    capped = np.hstack([quality, np.full((8, 1), 100.0)])
    saving = save(rates, quality, 0.8 * with_lossless, capped)
    assert saving.mean.value == pytest.approx(-20) and saving.curve.value == pytest.approx(-20)


def test_only_the_smallest_lossless_file_counts_by_other_metrics() -> None:
    rates, quality = make_images(8)
    rates = np.hstack([rates, 10 * rates[:, -1:], 20 * rates[:, -1:]])
    quality = np.hstack([quality / 50, np.ones((8, 2))])
    saving = save(rates, quality, 0.8 * rates, quality, metric="roi_ms_ssim")
    assert saving.mean.value == pytest.approx(-20) and not saving.flags


def test_ms_ssim_is_compared_in_decibels() -> None:
    rates, quality = make_images(8)
    other = 0.8 * rates * np.geomspace(0.9, 1.2, 5), quality + 0.3
    ms_ssim = [1 - 10 ** (-values / 20) for values in (quality, other[1])]
    lossless = np.ones((8, 2))
    found = save(
        np.hstack([rates, 9 * rates[:, :2]]),
        np.hstack([ms_ssim[0], lossless]),
        np.hstack([other[0], 9 * rates[:, :2]]),
        np.hstack([ms_ssim[1], lossless]),
        metric="ms_ssim",
    )
    decibels = save(rates, quality / 2, other[0], other[1] / 2)
    np.testing.assert_allclose(found.per_image, decibels.per_image, rtol=1e-9)
    assert found.curve.value == pytest.approx(decibels.curve.value)


def test_equal_values_and_single_points_are_not_valid() -> None:
    rates, quality = make_images(8)
    flat = save(rates, quality, rates, np.full_like(quality, 30))
    assert flat.flags == {Flag.NOT_MONOTONIC: 8} and flat.curve_flag == Flag.NOT_MONOTONIC
    single = save(rates, quality, rates[:, :1], quality[:, :1])
    assert single.flags == {Flag.FEW_POINTS: 8} and single.curve_flag == Flag.FEW_POINTS


def test_points_that_differ_by_image_have_no_mean_curve() -> None:
    rates, quality = make_images(8)
    saving = save(rates, quality, rates, quality, named=False)
    assert saving.mean.value == 0 and saving.curve is None
    assert "do not say what was asked for" in saving.curve_flag


def test_lower_is_better_metrics_are_turned_round() -> None:
    rates, quality = make_images(8)
    saving = save(rates, -quality, 0.8 * rates, -quality, metric="lpips")
    assert saving.mean.value == pytest.approx(-20)
    assert save(rates, quality, rates, quality, metric="lpips").mean is None


def test_gaps_say_which_end_a_codec_lacks() -> None:
    rates, quality = make_images(8)
    saving = save(rates, quality, rates, quality + 6)
    assert saving.flags == {Flag.LITTLE_OVERLAP: 8}
    assert saving.gaps.low == pytest.approx(6 / 11) and saving.gaps.high == 0


def test_no_images() -> None:
    nothing = np.empty((0, 5))
    saving = save(nothing, nothing, nothing, nothing)
    assert saving.mean is None and saving.reason == "no images" and saving.curve is None
