"""BD-rates: published answers, the package `bjontegaard`, and curves that cannot be compared."""

import bjontegaard
import numpy as np
import pytest

from roi_ray.decision.bd_rate import bd_rate, bd_rates
from roi_ray.decision.flags import Flag

JPEG = [0.25, 0.5, 1.0, 2.0], [28.1, 31.2, 34.5, 38.0]

# Curves of JCTVC-E137, and the BD-rates that the tests of VMAF publish for them
# (github.com/Netflix/vmaf, python/test/bd_rate_calculator_test.py, as fractions).
PUBLISHED = [
    (
        ([108048.8736, 61279.976, 33905.6656, 18883.6928], [43.6471, 40.3953, 37.247, 34.2911]),
        ([108061.2784, 61299.9936, 33928.7472, 18910.912], [43.6768, 40.4232, 37.2761, 34.3147]),
        -0.465215420752807,
    ),
    (
        ([40433.8848, 7622.7456, 2394.488, 1017.6184], [37.5761, 35.3756, 33.8977, 32.0603]),
        ([40370.12, 7587.0024, 2390.0944, 1017.0984], [37.5982, 35.4025, 33.9194, 32.0822]),
        -1.8779823450567612,
    ),
]


def random_curve(random, points, *, falling=False):
    rates = np.sort(random.uniform(0.1, 3, points))
    quality = np.sort(random.uniform(20, 45, points))
    return rates, -quality if falling else quality


@pytest.mark.parametrize(("anchor", "other", "expected"), PUBLISHED)
def test_published_bd_rates(anchor, other, expected) -> None:
    assert bd_rate(*anchor, *other).percent == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("falling", [False, True])
def test_same_as_the_package_bjontegaard(falling) -> None:
    random = np.random.default_rng(1)
    compared = 0
    for _ in range(300):
        anchor = random_curve(random, random.integers(4, 12), falling=falling)
        other = random_curve(random, random.integers(4, 12), falling=falling)
        found = bd_rate(*anchor, *other, higher_is_better=not falling)
        if found.percent is None:
            assert found.flag in (Flag.LITTLE_OVERLAP, Flag.TOO_LARGE, Flag.NO_OVERLAP)
            continue
        sign = -1 if falling else 1
        expected = bjontegaard.bd_rate(
            anchor[0], sign * anchor[1], other[0], sign * other[1], "pchip", False, min_overlap=0
        )
        assert found.percent == pytest.approx(expected, rel=1e-9)
        compared += 1
    assert compared > 100


def test_a_codec_must_reach_most_of_the_anchors_range_and_may_reach_further() -> None:
    anchor = [1.0, 2, 3, 4], [30.0, 32, 34, 40]
    short = [1.0, 2, 3, 4], [33.0, 35, 37, 40.5]
    found = bd_rate(*anchor, *short)
    assert found.flag is Flag.LITTLE_OVERLAP and found.percent is None
    assert found.overlap == pytest.approx(7 / 10)
    far = [1.0, 2, 3, 4, 8], [31.0, 33, 35, 40, 50]
    found = bd_rate(*anchor, *far)
    assert found.flag is None and found.overlap == pytest.approx(9 / 10)
    assert bd_rate(*far, *anchor).flag is Flag.LITTLE_OVERLAP
    arrays = [np.array(part, float) for part in (*anchor, *far)]
    with pytest.warns(UserWarning, match="overlap: '45.00'"):
        expected = bjontegaard.bd_rate(*arrays, "pchip", False)
    assert found.percent == pytest.approx(expected, rel=1e-9)


def test_a_codec_against_itself_is_exactly_zero() -> None:
    random = np.random.default_rng(2)
    for points in (4, 5, 9):
        curve = random_curve(random, points)
        assert bd_rate(*curve, *curve).percent == 0


@pytest.mark.parametrize("percent", [-90, -20, 0.1, 35, 900])
def test_shifted_rates_give_the_exact_percentage(percent) -> None:
    rates, quality = random_curve(np.random.default_rng(3), 7)
    found = bd_rate(rates, quality, rates * (1 + percent / 100), quality)
    assert found.percent == pytest.approx(percent, abs=1e-9)


def test_swapped_curves_are_opposite_in_the_log_domain() -> None:
    random = np.random.default_rng(4)
    a, b = random_curve(random, 6), random_curve(random, 6)
    b = b[0], a[1][[0, 1, 2, 3, 4, 5]] + 0.1
    there, back = bd_rate(*a, *b).percent, bd_rate(*b, *a).percent
    assert (1 + there / 100) * (1 + back / 100) == pytest.approx(1, abs=1e-12)


def test_order_duplicates_and_missing_points_do_not_matter() -> None:
    rates, quality = [0.2, 0.4, 0.8, 1.6, 3.0], [28.0, 31.0, 34.0, 37.0, 39.0]
    expected = bd_rate(*JPEG, rates, quality).percent
    order = [3, 0, 4, 2, 1, 0, 3]
    found = bd_rate(
        *JPEG,
        [*(rates[i] for i in order), 1.0, np.nan],
        [*(quality[i] for i in order), np.nan, 20.0],
    )
    assert found.percent == expected


@pytest.mark.parametrize(
    ("rates", "quality", "flag"),
    [
        ([0.2, 0.4, 0.8], [28.0, 31.0, 34.0], Flag.FEW_POINTS),
        ([0.2, 0.4, 0.8, 0.8], [28.0, 31.0, 34.0, 34.0], Flag.FEW_POINTS),
        ([0.2, np.nan, 0.8, 1.6], [28.0, 31.0, 34.0, 38.0], Flag.FEW_POINTS),
        ([0.0, 0.4, 0.8, 1.6], [28.0, 31.0, 34.0, 38.0], Flag.ZERO_RATE),
        ([0.2, 0.4, 0.8, 1.6], [28.0, 34.0, 31.0, 38.0], Flag.NOT_MONOTONIC),
        ([0.2, 0.4, 0.8, 1.6], [28.0, 34.0, 34.0, 38.0], Flag.NOT_MONOTONIC),
        ([0.2, 0.4, 0.8, 1.6], [30.0, 30.0, 30.0, 30.0], Flag.NOT_MONOTONIC),
        ([0.2, 0.4, 0.8, 1.6], [48.0, 51.0, 54.0, 58.0], Flag.NO_OVERLAP),
        ([0.2, 0.4, 0.8, 1.6], [38.0, 51.0, 54.0, 58.0], Flag.NO_OVERLAP),
        ([0.2, 0.4, 0.8, 1.6], [32.0, 33.0, 34.0, 38.0], Flag.LITTLE_OVERLAP),
        ([20.0, 40.0, 80.0, 160.0], [28.1, 31.2, 34.5, 38.0], Flag.TOO_LARGE),
        ([0.2, 0.4, 0.8, 1.6], [np.nan] * 4, Flag.FEW_POINTS),
        ([], [], Flag.FEW_POINTS),
    ],
)
def test_curves_that_cannot_be_compared(rates, quality, flag) -> None:
    found = bd_rate(*JPEG, rates, quality)
    assert (found.percent, found.flag) == (None, flag)
    turned = bd_rate(rates, quality, *JPEG)
    if flag is Flag.TOO_LARGE:
        assert turned.percent == pytest.approx(-98.75)
    elif flag is Flag.LITTLE_OVERLAP:  # JPEG reaches all of the other's range
        assert turned.flag is None
    else:
        assert (turned.percent, turned.flag) == (None, flag)


def test_metric_without_values_is_told_from_missing_points() -> None:
    nothing = [np.nan] * 4
    assert bd_rate(JPEG[0], nothing, JPEG[0], nothing).flag is Flag.NOT_MEASURED
    assert bd_rate(JPEG[0], nothing, nothing, nothing).flag is Flag.FEW_POINTS


def test_arrays_give_what_single_curves_give() -> None:
    random = np.random.default_rng(5)
    curves = [[random_curve(random, points) for points in (6, 9)] for _ in range(200)]
    arrays = []
    for side in (0, 1):
        for part in (0, 1):
            array = np.stack([pair[side][part] for pair in curves])
            array[random.random(array.shape) < 0.15] = np.nan
            arrays.append(array)
    found = bd_rates(*arrays)
    for number in range(200):
        single = bd_rate(*(array[number] for array in arrays))
        expected = np.nan if single.percent is None else single.percent
        np.testing.assert_equal(found.percent[number], expected)
        assert found.overlap[number] == single.overlap
    assert 20 < sum(found.count_flags().values()) < 180
