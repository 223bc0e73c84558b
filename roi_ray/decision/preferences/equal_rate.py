"""Cells of two codecs at equal bit rate: interpolated between points, or the nearest real cells.

Numbers of an image between two points of a codec are interpolated by PCHIP over the logarithm of
the bit rate (Fritsch and Butland, SIAM J. Sci. Stat. Comput. 5, 1984), never outside the codec's
range.

Squared errors are interpolated on a logarithmic scale, as PSNR is one of them.

Whether interpolated numbers are good enough for the packaged preference model was measured on 24
photographs of 512 x 512 pixels and 8 codecs: a real cell was left out of its curve and interpolated
from the others. The model should find it as good as the real one, 0.5. What it said instead:

| points left | factor between the neighbours' bit rates | cells | bias | mean error | 95 % below |
|---|---|---|---|---|---|
| 3 | 1.5 .. 2 | 722 | -0.002 | 0.026 | 0.066 |
| 3 | 2 .. 3 | 1803 | -0.012 | 0.037 | 0.100 |
| 3 | 3 .. 4 | 823 | -0.019 | 0.049 | 0.146 |
| 3 | 4 .. 6 | 663 | -0.032 | 0.071 | 0.211 |
| 3 | 6 .. 10 | 267 | -0.059 | 0.097 | 0.236 |
| 2 | 2 .. 3 | 809 | -0.108 | 0.109 | 0.244 |
| 2 | 3 .. 4 | 579 | -0.178 | 0.179 | 0.362 |

So a curve needs `MIN_POINTS` points, and neighbours at most a factor of `MAX_GAP` apart. Against
other codecs at the same bit rate (3,235 pairs), the mean error was 0.016, the bias -0.006, the
preferred codec changed in 1.6 % of the pairs, and the win rate of two codecs over all images by
0.017 at most. Points that are there halve the gaps, so errors are smaller than these.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roi_ray import schema
from roi_ray.decision.pchip import Floats, fit_pchip
from roi_ray.decision.score_table import MISSING, CodecPoints

Ints = NDArray[np.int64]

MIN_POINTS = 3
"""The fewest points of an image and codec between which numbers are interpolated."""

MAX_GAP = 4.0
"""Numbers are not interpolated between bit rates that are apart by more than this factor."""

MAX_RATIO = 1.1
"""Two real cells are at equal bit rate if one has at most this many times the other's bits."""

RATES = tuple(float(2 ** (k / 2 + 0.25)) for k in range(-8, 6))
"""Bit rates at which codecs are compared, 0.074 .. 6.7 bits per pixel.

There are two in each octave, at the centres of its halves on a logarithmic scale, so that each lies
within one band of `ranking.BAND_EDGES`. They are the same for all images and codecs, so that
every pair of codecs is compared under the same conditions wherever both have the bit rate.
"""


def interpolate(rates: Floats, values: Floats, at: Floats) -> Floats:
    """Interpolate numbers of one codec at bit rates.

    Args:
        rates: bit rates in bits per pixel, (images, K), in any order; NaN where there is no cell.
        values: F numbers of each cell, (images, K, F). Cells with a NaN are left out.
        at: bit rates to interpolate at, (Q,), in bits per pixel.

    Returns:
        numbers, (images, Q, F); NaN outside the range of the image's bit rates, between bit rates
        that are more than `MAX_GAP` apart, and for images with fewer than `MIN_POINTS` cells.
    """
    usable = np.logical_and.reduce(np.isfinite(values), axis=-1)
    x, order, counts = _sort_cells(rates, usable)
    log_at = np.log(at)
    inside = _can_interpolate(x, counts, log_at)
    found = np.full((len(rates), len(at), values.shape[2]), np.nan)
    fitted = np.flatnonzero(inside.any(1))
    if not len(fitted):
        return found
    y = np.take_along_axis(values, order[:, :, None], 1)[fitted].transpose(0, 2, 1)  # (I, F, K)
    repeats = y.shape[1]
    curves = fit_pchip(
        np.repeat(x[fitted], repeats, 0),
        y.reshape(-1, y.shape[2]),
        np.repeat(counts[fitted], repeats),
    )
    at_rates = np.stack([curves.evaluate(place) for place in log_at])  # (Q, I * F)
    found[fitted] = at_rates.reshape(len(at), len(fitted), repeats).transpose(1, 0, 2)
    found[~inside] = np.nan
    return found


def _can_interpolate(x: Floats, counts: Ints, at: Floats) -> NDArray[np.bool_]:
    """Mark where numbers can be interpolated, (images, Q).

    Args:
        x: rising logarithms of bit rates, (images, K), infinite beyond the last one.
        counts: how many are finite, (images,).
        at: logarithms of bit rates, (Q,).
    """
    inside = np.zeros((len(x), len(at)), np.bool_)
    for left, right in zip(x.T[:, :, None], x.T[1:, :, None], strict=False):
        inside |= (left <= at) & (at <= right) & (right <= left + np.log(MAX_GAP))
    enough: NDArray[np.bool_] = inside & (counts[:, None] >= MIN_POINTS)
    return enough


def _sort_cells(rates: Floats, usable: NDArray[np.bool_]) -> tuple[Floats, Ints, Ints]:
    """Sort the cells of each image by bit rate, unusable ones last.

    Returns:
        logarithms of the bit rates, (images, K), infinite for unusable cells and for the second of
        two at the same bit rate; the order, (images, K); number of usable cells, (images,).
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(rates)
    x = np.where(usable & np.isfinite(logs), logs, np.inf)
    order = np.argsort(x, axis=1, kind="stable")
    x = np.take_along_axis(x, order, 1)
    x[:, 1:][x[:, 1:] == x[:, :-1]] = np.inf
    again = np.argsort(x, axis=1, kind="stable")
    x, order = (np.take_along_axis(array, again, 1) for array in (x, order))
    return x, order, np.isfinite(x).sum(1)


_BPP_TARGET = f"{schema.BPP}="


@dataclass(frozen=True)
class NearPairs:
    """N pairs of real cells of two codecs, of the same image and at nearly equal bit rate.

    Attributes:
        image: number of the image, (N,).
        a: point of the first codec, (N,).
        b: point of the second codec, (N,).
    """

    image: Ints
    a: Ints
    b: Ints


def find_near_pairs(rates_a: Floats, rates_b: Floats) -> NearPairs:
    """Find, for each cell of one codec, the cell of another that is nearest in bit rate.

    Args:
        rates_a: bit rates of the first codec, (images, K); NaN where there is no cell.
        rates_b: bit rates of the second codec, (images, L).

    Returns:
        pairs whose bit rates differ by a factor of `MAX_RATIO` at most, by image and point.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        x_a, x_b = np.log(rates_a), np.log(rates_b)
    x_b = np.where(np.isfinite(x_b), x_b, np.inf)
    nearest = np.zeros(rates_a.shape, np.int64)
    close = np.zeros(rates_a.shape, np.bool_)
    for point, x in enumerate(x_a.T):
        distance = np.abs(np.where(np.isfinite(x), x, np.nan)[:, None] - x_b)
        nearest[:, point] = distance.argmin(1)
        # A little more for rounding; a NaN is not close.
        close[:, point] = distance.min(1) <= np.log(MAX_RATIO) + 1e-12
    image, a = np.nonzero(close)
    return NearPairs(image, a, nearest[image, a])


def find_matched_pairs(a: CodecPoints, b: CodecPoints, near: NearPairs) -> NearPairs:
    """Select the pairs of cells that were made for the same bit rate (`--match bpp=`).

    Args:
        a: points of the first codec.
        b: points of the second codec.
        near: pairs of their cells, from `find_near_pairs`.
    """
    if a.names is None or b.names is None:
        return NearPairs(*(np.zeros(0, np.int64) for _ in range(3)))
    names_a, names_b = np.array(a.names), np.array(b.names)
    same = (names_a[near.a] == names_b[near.b]) & np.char.startswith(names_a[near.a], _BPP_TARGET)
    same &= (a.rows[near.image, near.a] != MISSING) & (b.rows[near.image, near.b] != MISSING)
    return NearPairs(near.image[same], near.a[same], near.b[same])


def read_targets(points: CodecPoints) -> Floats:
    """Read the bit rates that the points of a codec were made for, (K,); NaN for other points."""
    names = points.names or ()
    prefix = _BPP_TARGET
    targets = [float(n.removeprefix(prefix)) if n.startswith(prefix) else np.nan for n in names]
    return np.array(targets, np.float64)
