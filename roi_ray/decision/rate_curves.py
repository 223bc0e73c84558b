"""Rate-quality curves of many images: sorted, checked and interpolated."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from roi_ray.decision.flags import CODE, MIN_POINTS, VALID, Flag
from roi_ray.decision.pchip import Floats, Integers, Pchip, fit_pchip

Band = tuple[float, float]
"""Lower and upper end of a band of bit rates, in bits per pixel."""


@dataclass(frozen=True)
class Curves:
    """N rate-quality curves, ready to be compared.

    Attributes:
        log_rate: natural logarithm of the bit rate over quality; quality rises, negated for
            metrics of which lower is better.
        codes: `VALID`, or the code of the flag of a curve that cannot be compared, (N,).
    """

    log_rate: Pchip
    codes: NDArray[np.int8]

    @property
    def lowest(self) -> Floats:
        """Lowest quality of each curve, (N,)."""
        lowest: Floats = self.log_rate.x[0]
        return lowest

    @property
    def highest(self) -> Floats:
        """Highest quality of each curve, (N,)."""
        highest: Floats = self.log_rate.x[-1]
        return highest


@dataclass(frozen=True)
class Limits:
    """The quality that N anchors have within a band of bit rates.

    Attributes:
        lowest: lowest quality of each anchor within the band, (N,); negated where lower is better.
        highest: highest, likewise.
        octaves: part of the band that the anchor has: log2 of highest over lowest bit rate, (N,).
            A BD-rate within the band needs `MIN_OCTAVES`.
    """

    lowest: Floats
    highest: Floats
    octaves: Floats


def fit_curves(rates: ArrayLike, quality: ArrayLike, *, higher_is_better: bool = True) -> Curves:
    """Sort, check and interpolate N curves; for arguments see `bd_rates`."""
    rates, quality = np.asarray(rates, np.float64), np.asarray(quality, np.float64)
    has_rate, has_quality = np.isfinite(rates).any(1), np.isfinite(quality).any(1)
    rates, quality, counts = _sort_points(rates, quality if higher_is_better else -quality)
    inside = np.arange(1, rates.shape[1]) < counts[:, None]
    falls = (np.diff(rates, axis=1) < 0) | (np.diff(quality, axis=1) <= 0)
    codes = np.select(
        [
            has_rate & ~has_quality,
            counts < MIN_POINTS,
            (rates <= 0).any(1),
            (falls & inside).any(1),
        ],
        [
            CODE[Flag.NOT_MEASURED],
            CODE[Flag.FEW_POINTS],
            CODE[Flag.ZERO_RATE],
            CODE[Flag.NOT_MONOTONIC],
        ],
        VALID,
    ).astype(np.int8)
    # Curves that are not valid become lines from 0 to 1, so that nothing divides by zero.
    line = np.linspace(0, 1, max(rates.shape[1], 3))
    valid = (codes == VALID)[:, None]
    if rates.shape[1] < len(line):
        missing = np.full((len(rates), len(line) - rates.shape[1]), np.nan)
        rates, quality = np.hstack([rates, missing]), np.hstack([quality, missing])
    log_rates = np.log(np.where(valid, rates, np.exp(line)))
    counts = np.where(valid[:, 0], counts, len(line))
    return Curves(fit_pchip(np.where(valid, quality, line), log_rates, counts), codes)


def limit_to_band(anchor: Curves, band: Band) -> Limits:
    """Find the quality that each anchor has between two bit rates."""
    curve = anchor.log_rate
    with np.errstate(divide="ignore"):
        ends = np.log(band)
    low, high = (np.clip(end, curve.y[0], curve.y[-1]) for end in ends)
    return Limits(curve.solve(low), curve.solve(high), np.maximum(high - low, 0) / np.log(2))


def _sort_points(rates: Floats, quality: Floats) -> tuple[Floats, Floats, Integers]:
    """Sort points by quality, drop duplicates and incomplete points, and count those left.

    Dropped points become NaN at the end.
    """
    missing = ~(np.isfinite(rates) & np.isfinite(quality))
    rates, quality = np.where(missing, np.nan, rates), np.where(missing, np.nan, quality)
    # Most curves are in order already.
    unsorted = np.flatnonzero(~(np.diff(quality, axis=1) > 0).all(1))
    if unsorted.size:
        r, q = _sort_rows(rates[unsorted], quality[unsorted])
        same = (np.diff(r, axis=1) == 0) & (np.diff(q, axis=1) == 0)
        if same.any():
            r[:, 1:][same], q[:, 1:][same] = np.nan, np.nan
            r, q = _sort_rows(r, q)
        rates[unsorted], quality[unsorted] = r, q
    return rates, quality, np.isfinite(rates).sum(1)


def _sort_rows(rates: Floats, quality: Floats) -> tuple[Floats, Floats]:
    order = np.lexsort((rates, quality), axis=1)
    return np.take_along_axis(rates, order, 1), np.take_along_axis(quality, order, 1)
