"""BD-rate: how many more bits one codec needs than another for the same quality.

Bjontegaard, "Calculation of average PSNR differences between RD-curves", VCEG-M33, 2001, with
piecewise cubic Hermite interpolation (PCHIP; Fritsch and Butland, SIAM J. Sci. Stat. Comput. 5,
1984) of log rate over quality, as in the common test conditions of JVET (JVET-T2010).

The number is that of the package `bjontegaard`: the mean over the quality that both curves have. It
is valid if that is most of the anchor's range, so that all codecs are compared over nearly the same
range. `bjontegaard` warns where it is less than 75 % of the range of both curves together, which a
codec that reaches further than the anchor fails too. Validity is therefore not symmetric: what is
valid for a codec against an anchor need not be valid the other way round.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roi_ray.decision.flags import (
    CODE,
    FLAGS,
    MAX_PERCENT,
    MIN_OCTAVES,
    MIN_OVERLAP,
    VALID,
    Flag,
    count_flags,
)
from roi_ray.decision.pchip import Floats, Integers
from roi_ray.decision.rate_curves import Curves, Limits, fit_curves


@dataclass(frozen=True)
class BdRate:
    """The BD-rate of one curve against an anchor's.

    Attributes:
        percent: mean difference of the bit rate at the same quality, in percent; -20 means a fifth
            fewer bits than the anchor (lower is better). None if it is not valid.
        flag: why it is not valid; None if it is.
        overlap: share of the anchor's quality range that the other codec reaches, 0..1.
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


def compare_curves(anchor: Curves, other: Curves, limits: Limits | None = None) -> BdRates:
    """Compute the BD-rates of N curves against N anchors.

    Args:
        anchor: the anchors, from `fit_curves`.
        other: the other codec's curves.
        limits: compare only at the quality that the anchor has in a band of bit rates, see
            `limit_to_band`; the overlap is then the share of that. None: compare all that the
            curves have in common.
    """
    low, high = np.maximum(anchor.lowest, other.lowest), np.minimum(anchor.highest, other.highest)
    bottom, top = anchor.lowest, anchor.highest
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
            (anchor.codes == CODE[Flag.NOT_MEASURED]) & (other.codes == anchor.codes),
            _is_few(anchor) | _is_few(other),
            anchor.codes != VALID,
            other.codes != VALID,
            outside,
            overlap == 0,
            overlap < MIN_OVERLAP,
            percent > MAX_PERCENT,
        ],
        [
            CODE[Flag.NOT_MEASURED],
            CODE[Flag.FEW_POINTS],
            anchor.codes,
            other.codes,
            CODE[Flag.OUTSIDE_BAND],
            CODE[Flag.NO_OVERLAP],
            CODE[Flag.LITTLE_OVERLAP],
            CODE[Flag.TOO_LARGE],
        ],
        VALID,
    ).astype(np.int8)
    return BdRates(np.where(codes == VALID, percent, np.nan), codes, overlap)


def _is_few(curves: Curves) -> NDArray[np.bool_]:
    """Return which curves have too few points; one that was not measured has none."""
    few: NDArray[np.bool_] = np.isin(curves.codes, (CODE[Flag.FEW_POINTS], CODE[Flag.NOT_MEASURED]))
    return few
