"""Intervals over images."""

import numpy as np
import pytest

from roi_ray.decision import resampling
from roi_ray.decision.resampling import Resamples, estimate_median, make_estimate


@pytest.mark.parametrize("images", [6, 20])
def test_intervals_of_means_cover_as_often_as_they_say(images) -> None:
    random = np.random.default_rng(0)
    draws = 2000
    values = random.normal(-30, 10, (images, draws))
    samples = Resamples(images).average(values, np.ones(images, np.bool_))
    covered = 0
    for number in range(draws):
        found = make_estimate(values[:, number].mean(), samples[:, number], images)
        covered += found.low <= -30 <= found.high
    assert 0.93 <= covered / draws <= 0.965


def test_interval_of_a_median_is_that_of_the_sign_test() -> None:
    values = np.random.default_rng(1).permutation(np.arange(1.0, 21))
    found = estimate_median(values)
    # The sixth and fifteenth of twenty: P(5 or fewer of 20) = 0.0207, P(6 or fewer) = 0.0577.
    assert (found.value, found.low, found.high) == (10.5, 6, 15)
    six = estimate_median(np.arange(6.0))
    assert (six.low, six.high) == (0, 5)
    assert estimate_median(np.array([1.0, np.nan, 2])).low is None
    assert estimate_median(np.full(3, np.nan)) is None


def test_groups_of_images_vary_as_images_do(monkeypatch) -> None:
    random = np.random.default_rng(2)
    values = random.gamma(2, 10, 3000)
    spread = {}
    for units in (3000, 300):
        monkeypatch.setattr(resampling, "MAX_UNITS", units)
        spread[units] = Resamples(3000).average(values[:, None], np.ones(3000, np.bool_)).std()
    expected = values.std() / np.sqrt(3000)
    assert spread[3000] == pytest.approx(expected, rel=0.1)
    assert spread[300] == pytest.approx(expected, rel=0.2)


def test_mean_leaves_out_missing_values() -> None:
    values = np.array([1.0, np.nan, 3, 5, 7, 9, 11])
    found = Resamples(7).estimate_mean(values)
    assert found.value == 6 and 1 < found.low < 6 < found.high < 11
    assert Resamples(7).estimate_mean(np.full(7, np.nan)) is None
    assert Resamples(7, 0).estimate_mean(values).low is None


def test_no_interval_where_many_resamples_have_no_number() -> None:
    samples = np.linspace(-12.0, -8.0, 100)
    samples[:5] = np.nan
    assert make_estimate(-10.0, samples, 20).low is not None
    samples[5] = np.nan
    assert make_estimate(-10.0, samples, 20).low is None
