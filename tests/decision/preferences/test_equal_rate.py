"""Numbers and cells of two codecs at equal bit rate."""

import numpy as np
from scipy.interpolate import PchipInterpolator

from roi_ray.decision.preferences.equal_rate import (
    MAX_GAP,
    RATES,
    find_matched_pairs,
    find_near_pairs,
    interpolate,
)
from roi_ray.decision.score_table import CodecPoints
from roi_ray.preference.ranking.rank import BAND_EDGES

AT = np.array(RATES)


def test_interpolation_equals_scipys_pchip_where_the_range_covers_it(rng) -> None:
    rates = np.exp(rng.normal(0, 0.7, (60, 7)))
    values = rng.normal(size=(60, 7, 3))
    rates[rng.random(rates.shape) < 0.2] = np.nan
    values[rng.random(values.shape) < 0.05] = np.nan
    found = interpolate(rates, values, AT)
    compared = 0
    for i in range(len(rates)):
        usable = np.flatnonzero(np.isfinite(rates[i]) & np.isfinite(values[i]).all(-1))
        order = usable[np.argsort(rates[i, usable])]
        if len(order) < 3:
            assert np.isnan(found[i]).all()
            continue
        x = np.log(rates[i, order])
        expected = PchipInterpolator(x, values[i, order], extrapolate=False)(np.log(AT))
        right = np.searchsorted(x, np.log(AT)).clip(1, len(x) - 1)
        expected[np.diff(x)[right - 1] > np.log(MAX_GAP)] = np.nan
        np.testing.assert_allclose(found[i], expected, atol=1e-12)
        compared += np.isfinite(expected).sum()
    assert compared > 500


def test_points_are_met_and_a_straight_line_stays_one() -> None:
    rates = np.array([[2.0, 0.5, 1.0, 4.0]])
    values = np.log2(rates)[:, :, None]
    found = interpolate(rates, values, np.array([0.5, 0.7, 1.0, 3.0, 4.0]))
    np.testing.assert_allclose(found[0, :, 0], np.log2([0.5, 0.7, 1.0, 3.0, 4.0]), atol=1e-12)


def test_no_number_outside_the_range_across_wide_gaps_or_from_two_points() -> None:
    rates = np.array([[0.1, 0.2, 1.0, 2.0], [0.5, 1.0, np.nan, np.nan]])
    found = interpolate(rates, rates[:, :, None], np.array([0.05, 0.15, 0.5, 1.5, 2.1]))
    assert np.isfinite(found[0, :, 0]).tolist() == [False, True, False, True, False]
    assert np.isnan(found[1]).all()


def test_cells_without_bits_and_second_cells_at_one_rate_are_left_out() -> None:
    rates = np.array([[0.0, 0.5, 0.5, 1.0, 2.0]])
    values = np.array([[[9.0], [1.0], [7.0], [2.0], [3.0]]])
    found = interpolate(rates, values, np.array([0.5, 1.0, 1.4, 2.0]))
    assert found[0, [0, 1, 3], 0].tolist() == [1, 2, 3]
    assert np.isfinite(found).all()


def test_each_rate_lies_within_a_band() -> None:
    octave = np.diff(np.log2(RATES))
    np.testing.assert_allclose(octave, 0.5)
    assert np.abs(np.log2(np.divide.outer(RATES, BAND_EDGES))).min() > 0.2
    bands = np.digitize(RATES, BAND_EDGES)
    assert np.bincount(bands)[1:4].tolist() == [2, 2, 2]


def test_nearest_cells_within_a_tenth_are_pairs() -> None:
    a = np.array([[0.5, 1.0, np.nan], [0.5, 2.0, 4.0]])
    b = np.array([[1.09, 0.545, 1.2], [0.44, 2.3, np.nan]])
    near = find_near_pairs(a, b)
    assert near.image.tolist() == [0, 0]
    assert near.a.tolist() == [0, 1] and near.b.tolist() == [1, 0]


def test_only_cells_made_for_one_bit_rate_are_matched() -> None:
    rates = np.array([[0.5, 1.0]])
    rows = np.array([[0, 1]])
    near = find_near_pairs(rates, rates)

    def count(names, others) -> int:
        pairs = find_matched_pairs(CodecPoints(names, rows), CodecPoints(others, rows), near)
        return len(pairs.image)

    assert count(("bpp=0.5", "bpp=1.0"), ("bpp=0.5", "bpp=1.0")) == 2
    assert count(("bpp=0.5", "bpp=1.0"), ("bpp=0.5", "bpp=1.04")) == 1
    assert count(("quality=5", "quality=9"), ("quality=5", "quality=9")) == 0
    assert count(None, ("bpp=0.5", "bpp=1.0")) == 0
