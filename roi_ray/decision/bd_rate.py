"""BD-rate: how many more bits one codec needs than another for the same quality.

Bjontegaard, "Calculation of average PSNR differences between RD-curves", VCEG-M33, 2001, with
piecewise cubic Hermite interpolation (PCHIP; Fritsch and Butland, SIAM J. Sci. Stat. Comput. 5,
1984) of log rate over quality, as in the common test conditions of JVET (JVET-T2010).

The overlap is defined as by the package `bjontegaard`: the length of the quality range that both
curves have, over that from the lowest to the highest quality of either.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from roi_ray.decision.pchip import Floats, Integers, Pchip, fit_pchip

MIN_POINTS = 4
MIN_OVERLAP = 0.75
MAX_PERCENT = 1000.0

MIN_OCTAVES = 0.75
"""The least part of a band of bit rates, in octaves, that the anchor must have."""

Band = tuple[float, float]
"""Lower and upper end of a band of bit rates, in bits per pixel."""


class Flag(StrEnum):
    """Why a BD-rate is not valid; no number is given then."""

    FEW_POINTS = f"fewer than {MIN_POINTS} points"
    ZERO_RATE = "a bit rate of zero"
    NOT_MONOTONIC = "quality does not rise with the bit rate"
    NO_OVERLAP = "no quality that both codecs reach"
    LITTLE_OVERLAP = f"less than {100 * MIN_OVERLAP:g} % of the quality range is common"
    TOO_LARGE = f"above {MAX_PERCENT:g} %"
    NOT_MEASURED = "no value of the metric, such as without a region of interest"
    OUTSIDE_BAND = "the anchor has too little of the band of bit rates"


FLAGS = tuple(Flag)

EXEMPT = (Flag.NOT_MEASURED, Flag.OUTSIDE_BAND)
"""Flags of images that need no BD-rate: a mean over the others does not mislead."""

VALID = 0
"""Code of a valid BD-rate in arrays; the code of a flag is its position in `FLAGS`, from 1."""

_CODE = {flag: number for number, flag in enumerate(FLAGS, 1)}


@dataclass(frozen=True)
class BdRate:
    """The BD-rate of one curve against an anchor's.

    Attributes:
        percent: mean difference of the bit rate at the same quality, in percent; -20 means a fifth
            fewer bits than the anchor (lower is better). None if it is not valid.
        flag: why it is not valid; None if it is.
        overlap: share of the quality range that the curves have in common, 0..1.
    """

    percent: float | None
    flag: Flag | None
    overlap: float


@dataclass(frozen=True)
class BdRates:
    """The BD-rates of N curves against N anchors.

    Attributes:
        percent: see `BdRate`, (N,); NaN where it is not valid.
        codes: `VALID`, or the code of the flag, (N,).
        overlap: see `BdRate`, (N,).
    """

    percent: Floats
    codes: NDArray[np.int8]
    overlap: Floats

    def select(self, images: Integers) -> "BdRates":
        """Select curves by number."""
        return BdRates(self.percent[images], self.codes[images], self.overlap[images])

    def count_flags(self) -> dict[Flag, int]:
        """Count the curves by flag, the most frequent first."""
        return count_flags(self.codes)


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


def bd_rate(
    anchor_rates: Sequence[float] | Floats,
    anchor_quality: Sequence[float] | Floats,
    rates: Sequence[float] | Floats,
    quality: Sequence[float] | Floats,
    *,
    higher_is_better: bool = True,
) -> BdRate:
    """Compute the BD-rate of one curve against an anchor's.

    Points may be in any order; points without a number (NaN) and exact duplicates are dropped.

    Args:
        anchor_rates: bit rates of the anchor's points, in any unit, (K,).
        anchor_quality: their quality by some metric, (K,).
        rates: bit rates of the other codec, in the same unit, (L,).
        quality: their quality by the same metric, (L,).
        higher_is_better: whether higher values of the metric are better quality.

    Returns:
        percentage, or the flag that says why there is none; overlap 0 where the curves cannot be
        compared.

    Examples:
        >>> jpeg = [0.25, 0.5, 1.0, 2.0], [28.1, 31.2, 34.5, 38.0]
        >>> avif = [0.2, 0.4, 0.8, 1.6], [28.1, 31.2, 34.5, 38.0]
        >>> result = bd_rate(*jpeg, *avif)
        >>> print(f"{result.percent:+.1f} %")
        -20.0 %
        >>> bd_rate(*jpeg, [0.2, 0.4, 0.8], [28.1, 31.2, 34.5]).flag.value
        'fewer than 4 points'
    """
    arrays = [np.asarray([a], np.float64) for a in (anchor_rates, anchor_quality, rates, quality)]
    found = bd_rates(*arrays, higher_is_better=higher_is_better)
    code = int(found.codes[0])
    return BdRate(
        percent=None if code else float(found.percent[0]),
        flag=FLAGS[code - 1] if code else None,
        overlap=float(found.overlap[0]),
    )


def bd_rates(
    anchor_rates: Floats,
    anchor_quality: Floats,
    rates: Floats,
    quality: Floats,
    *,
    higher_is_better: bool = True,
) -> BdRates:
    """Compute the BD-rates of N curves against N anchors.

    For the meaning see `bd_rate`.

    Args:
        anchor_rates: bit rates of the anchors' points, (N, K), NaN where a point is missing.
        anchor_quality: their quality, (N, K), likewise.
        rates: bit rates of the other codec's points, (N, L), likewise.
        quality: their quality, (N, L), likewise.
        higher_is_better: whether higher values of the metric are better quality.
    """
    anchor = fit_curves(anchor_rates, anchor_quality, higher_is_better=higher_is_better)
    other = fit_curves(rates, quality, higher_is_better=higher_is_better)
    return compare_curves(anchor, other)


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
            _CODE[Flag.NOT_MEASURED],
            _CODE[Flag.FEW_POINTS],
            _CODE[Flag.ZERO_RATE],
            _CODE[Flag.NOT_MONOTONIC],
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


def compare_curves(anchor: Curves, other: Curves, limits: Limits | None = None) -> BdRates:
    """Compute the BD-rates of N curves against N anchors.

    Args:
        anchor: the anchors, from `fit_curves`.
        other: the other codec's curves.
        limits: compare only at the quality that the anchor has in a band of bit rates, see
            `limit_to_band`; of that, the overlap is then the share that the other codec reaches.
            None: compare all that the curves have in common.
    """
    low, high = np.maximum(anchor.lowest, other.lowest), np.minimum(anchor.highest, other.highest)
    bottom = np.minimum(anchor.lowest, other.lowest)
    top = np.maximum(anchor.highest, other.highest)
    outside = np.zeros(len(low), np.bool_)
    if limits is not None:
        bottom, top, outside = limits.lowest, limits.highest, limits.octaves < MIN_OCTAVES
        low, high = np.maximum(bottom, low), np.minimum(top, high)
    comparable = (anchor.codes == VALID) & (other.codes == VALID) & ~outside
    common = np.maximum(high - low, 0)
    total = top - bottom
    overlap = np.divide(common, total, out=np.zeros_like(common), where=comparable & (total > 0))
    width = np.where(overlap > 0, common, 1)
    high = np.where(overlap > 0, high, low)
    difference = other.log_rate.integrate(low, high) - anchor.log_rate.integrate(low, high)
    with np.errstate(over="ignore"):
        percent = 100 * np.expm1(difference / width)
    codes = np.select(
        [
            (anchor.codes == _CODE[Flag.NOT_MEASURED]) & (other.codes == anchor.codes),
            _is_few(anchor) | _is_few(other),
            anchor.codes != VALID,
            other.codes != VALID,
            outside,
            overlap == 0,
            overlap < MIN_OVERLAP,
            percent > MAX_PERCENT,
        ],
        [
            _CODE[Flag.NOT_MEASURED],
            _CODE[Flag.FEW_POINTS],
            anchor.codes,
            other.codes,
            _CODE[Flag.OUTSIDE_BAND],
            _CODE[Flag.NO_OVERLAP],
            _CODE[Flag.LITTLE_OVERLAP],
            _CODE[Flag.TOO_LARGE],
        ],
        VALID,
    ).astype(np.int8)
    return BdRates(np.where(codes == VALID, percent, np.nan), codes, overlap)


def limit_to_band(anchor: Curves, band: Band) -> Limits:
    """Find the quality that each anchor has between two bit rates."""
    curve = anchor.log_rate
    with np.errstate(divide="ignore"):
        ends = np.log(band)
    low, high = (np.clip(end, curve.y[0], curve.y[-1]) for end in ends)
    return Limits(curve.solve(low), curve.solve(high), np.maximum(high - low, 0) / np.log(2))


def count_flags(codes: NDArray[np.int8]) -> dict[Flag, int]:
    """Count codes that are not `VALID` by flag, the most frequent first."""
    numbers = np.bincount(codes, minlength=len(FLAGS) + 1)[1:]
    counts = {flag: int(number) for flag, number in zip(FLAGS, numbers, strict=True) if number}
    return dict(sorted(counts.items(), key=lambda item: -item[1]))


def _is_few(curves: Curves) -> NDArray[np.bool_]:
    """Return which curves have too few points; one that was not measured has none."""
    few: NDArray[np.bool_] = np.isin(
        curves.codes, (_CODE[Flag.FEW_POINTS], _CODE[Flag.NOT_MEASURED])
    )
    return few


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
