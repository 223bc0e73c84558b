"""Images on which a candidate has no valid BD-rate against its baseline: whose fault is that?

A BD-rate that is not valid is left out of the mean. Where only the candidate's curve is the reason,
leaving it out would hide a broken codec, so a gate has to look at these images.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np
from scipy import stats

from roi_ray.decision.bd_rate import compare_curves
from roi_ray.decision.flags import FLAGS, MIN_OVERLAP, VALID, Flag
from roi_ray.decision.pchip import Floats
from roi_ray.decision.points import Points
from roi_ray.decision.rate_curves import Curves
from roi_ray.runtime.words import count_noun

SIGNIFICANCE = 0.05
NEGLIGIBLE_DRIFT = 0.05
"""Share of the images by which a mean may be over fewer than the baseline's curves allow."""

_SMALL_DROP = 0.01
"""Share of the baseline's range of quality by which a sound curve may fall between two points."""

_BROKEN = (Flag.ZERO_RATE, Flag.TOO_LARGE, Flag.FEW_POINTS)
"""Reasons that are the candidate's fault, on even one image, if the baseline's curve is usable."""


@dataclass(frozen=True)
class LostCurves:
    """Images whose curve is usable in the baseline, but cannot be compared with the candidate's.

    Attributes:
        broken: number of each image on which the candidate is broken, with the reason in words.
        drifted: reasons of the other images, with their number of images: curves that are not quite
            monotonic where the baseline has such curves too, or whose range of quality has moved.
        gained: number of images on which only the candidate's curve is usable.
        usable: number of images on which the baseline's own curve is usable.
    """

    broken: dict[int, str]
    drifted: dict[str, int]
    gained: int
    usable: int

    @property
    def drift(self) -> int:
        """Number of images in `drifted`."""
        return sum(self.drifted.values())

    def describe_drift(self) -> str:
        """List the reasons of `drifted`, with their number of images."""
        return ", ".join(
            f"{reason} ({count_noun(count, 'image')})" for reason, count in self.drifted.items()
        )

    @property
    def drift_is_negligible(self) -> bool:
        """Whether a mean over the other images is still about nearly all of them."""
        return self.drift - self.gained <= NEGLIGIBLE_DRIFT * self.usable

    @property
    def drift_is_significant(self) -> bool:
        """Whether more images were lost than gained by more than chance (one-sided sign test)."""
        if self.drift <= self.gained:
            return False
        test = stats.binomtest(self.drift, self.drift + self.gained, alternative="greater")
        return bool(test.pvalue < SIGNIFICANCE)


def find_lost_curves(anchor: Points, other: Points, max_image_bd_rate: float) -> LostCurves:
    """Find out why images have no valid BD-rate.

    Args:
        anchor: points of the baseline.
        other: points of the candidate, by the same metric and of the same images.
        max_image_bd_rate: how many more bits than the baseline the candidate may need for its best
            quality of an image, in percent.
    """
    own, others = anchor.curves.codes, other.curves.codes
    usable = own == VALID
    codes = compare_curves(anchor.curves, other.curves).codes
    wobbles = any(FLAGS[code - 1] is Flag.NOT_MONOTONIC for code in own[~usable])
    sign = 1 if anchor.higher_is_better else -1
    excess = _measure_excess(anchor.curves, other.curves)
    broken: dict[int, str] = {}
    drifted: Counter[str] = Counter()
    for image in np.flatnonzero(usable & (codes != VALID)).tolist():
        flag = FLAGS[codes[image] - 1]
        reason = _find_break(
            flag,
            sign * anchor.quality[image],
            other.rates[image],
            sign * other.quality[image],
            baseline_wobbles=wobbles,
        ) or _word_excess(float(excess[image]), max_image_bd_rate)
        if reason:
            broken[image] = reason
        else:
            drifted[flag] += 1
    gained = int((~usable & (others == VALID)).sum())
    return LostCurves(broken, dict(drifted), gained, int(usable.sum()))


def _find_break(
    flag: Flag, anchor: Floats, rates: Floats, quality: Floats, *, baseline_wobbles: bool
) -> str | None:
    """Say what is broken in a curve of an image; higher quality is better. None if nothing is."""
    if flag in _BROKEN:
        return str(flag)
    lowest, highest = np.nanmin(anchor), np.nanmax(anchor)
    if np.nanmax(quality) < lowest:
        return "its best quality is below the baseline's worst"
    if baseline_wobbles:  # the metric is noisy on images such as these
        return None
    if np.nanmin(quality) < lowest - (highest - lowest):
        return "a quality far below the baseline's worst"
    if flag is Flag.NOT_MONOTONIC:
        known = np.isfinite(rates) & np.isfinite(quality)
        by_rate = quality[known][np.argsort(rates[known], kind="stable")]
        drop = np.max(np.maximum.accumulate(by_rate) - by_rate)
        if drop > _SMALL_DROP * (highest - lowest):
            return f"{flag}, while the baseline's does"
    return None


def _measure_excess(anchor: Curves, other: Curves) -> Floats:
    """Measure how many more bits the best quality of each candidate costs, in percent, (images,).

    A decoder that spoils an image, say by a shift of one pixel, has a lower range of quality at
    the same bit rates. Too little of the range is common for a BD-rate then, so this compares the
    bit rates of one quality. NaN where it is above 75 % of the baseline's range, or outside it.
    """
    best, lowest, highest = other.highest, anchor.lowest, anchor.highest
    ceiling = MIN_OVERLAP * highest + (1 - MIN_OVERLAP) * lowest
    measured = (other.codes == VALID) & (lowest <= best) & (best <= ceiling)
    own = anchor.log_rate.evaluate(np.clip(best, lowest, highest))
    with np.errstate(over="ignore"):
        percent = 100 * np.expm1(other.log_rate.evaluate(best) - own)
    return np.where(measured, percent, np.nan)


def _word_excess(percent: float, limit: float) -> str | None:
    """Say that the best quality of a candidate costs too many bits; None if it does not."""
    if not percent > limit:  # NaN is not
        return None
    return (
        f"its best quality needs {percent:.0f} % more bits; the limit of any image is {limit:g} %"
    )
