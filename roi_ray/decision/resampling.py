"""Intervals over the images of a sweep.

The interval of a mean is that between percentiles of resampled images (Efron, Annals of Statistics
7, 1979). Percentiles of few images are too narrow: their ends are moved out from the value as far
as those of Student's t. Bias-corrected percentiles (BCa) cover less where values have heavy tails
(t with 3 degrees of freedom: 0.83 .. 0.92) and hardly more elsewhere.

The interval of a median is that of the sign test: it lies between two of the values, and covers the
median in at least 95 % of samples whatever the distribution is.

Coverage of the 95 % intervals in simulations of BD-rates of images (means and medians: 2,000 draws
each; mean curves: 600 draws of six points, whose images differ in rate, slope and saving):

| BD-rates | 6 images | 8 | 12 | 20 | 40 | 100 |
|---|---|---|---|---|---|---|
| mean, normal | 0.95 | 0.94 | 0.95 | 0.95 | 0.94 | 0.94 |
| mean, log-normal ratios of bits, s = 0.3 | 0.95 | 0.93 | 0.94 | 0.94 | 0.94 | 0.94 |
| mean, t with 3 degrees of freedom | 0.96 | 0.95 | 0.94 | 0.94 | 0.94 | 0.95 |
| mean, log-normal ratios of bits, s = 0.8 | 0.88 | 0.86 | 0.89 | 0.91 | 0.92 | 0.94 |
| mean, one image in ten 70 points worse | 0.65 | 0.65 | 0.74 | 0.86 | 0.92 | 0.94 |
| median, all of these | 0.97 | 0.99 | 0.96 | 0.95 .. 0.97 | 0.96 | 0.96 .. 0.97 |
| mean curves, s = 0.1 | 0.94 | 0.94 | 0.95 | 0.95 | 0.94 | |
| mean curves, s = 0.3 | 0.91 | 0.91 | 0.91 | 0.94 | 0.94 | |

Percentiles without the factor cover normal values in 0.85, 0.89, 0.90, 0.94, 0.95 and 0.95. No
interval knows of a kind of image that is not among the images.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from roi_ray.decision.pchip import Floats, Integers
from roi_ray.preference.statistics.intervals import CONFIDENCE, MIN_REFERENCES

RESAMPLES = 1000

MAX_UNITS = 1000
"""More images than this are resampled in groups, of random images, that stay together."""

MIN_SOUND = 0.95
"""The least share of resamples that must be valid for an interval: the others may be its ends."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Estimate:
    """A number of a sample of images.

    Attributes:
        value: the number.
        low: lower end of its 95 % interval over images; None where there are too few images, or too
            few valid resamples, for an interval.
        high: upper end.
    """

    value: float
    low: float | None
    high: float | None


class Resamples:
    """Images drawn with replacement, as many as there are.

    All numbers of a sweep use the same draws, so that the differences of two codecs are paired.
    With more than `MAX_UNITS` images, random groups of images are resampled instead of single
    images: a mean of groups varies as much as one of images, and memory does not grow with them.

    Args:
        images: number of images.
        resamples: number of resamples, R; 0 for no intervals.
        seed: seed of the random numbers.
    """

    def __init__(self, images: int, resamples: int = RESAMPLES, seed: int = 0) -> None:
        self.images = images
        random = np.random.default_rng(seed)
        units = min(images, MAX_UNITS)
        self._order: Integers | None = None
        if images > units:
            self._order = random.permutation(images)
            self._starts = np.linspace(0, images, units, endpoint=False).astype(np.intp)
        self._weights: Floats = np.zeros((resamples, units))
        for number in range(resamples if units else 0):
            drawn = random.integers(units, size=units)
            self._weights[number] = np.bincount(drawn, minlength=units)

    def average(self, values: Floats, mask: Mask) -> Floats:
        """Average columns over the images of each resample.

        Args:
            values: (images, C).
            mask: images that count, (images,).

        Returns:
            means, (R, C); NaN for resamples without such an image.
        """
        counts = self._add_up(mask[:, None].astype(np.float64))
        sums = self._add_up(np.where(mask[:, None], values, 0))
        with np.errstate(invalid="ignore"):
            means: Floats = (self._weights @ sums) / (self._weights @ counts)
        return means

    def _add_up(self, values: Floats) -> Floats:
        """Add up the rows of each unit, (units, C)."""
        if self._order is None:
            return values
        sums: Floats = np.add.reduceat(values[self._order], self._starts, axis=0)
        return sums

    def estimate_mean(self, values: Floats) -> Estimate | None:
        """Estimate the mean of values, (images,), that are not NaN; None if there are none."""
        mask = ~np.isnan(values)
        if not mask.any():
            return None
        means = self.average(values[:, None], mask)[:, 0]
        return make_estimate(float(values[mask].mean()), means, int(mask.sum()))


def make_estimate(value: float, samples: Floats, images: int) -> Estimate:
    """Make an estimate with the percentile interval of resamples, widened for few images.

    Args:
        value: the number itself.
        samples: the number in each resample, (R,); NaN where it is not valid.
        images: number of images behind it.
    """
    sound = samples[~np.isnan(samples)]
    if images < MIN_REFERENCES or not sound.size or sound.size < MIN_SOUND * samples.size:
        return Estimate(value, None, None)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(sound, [tail, 1 - tail])
    wider = _student_factor(images, tail)
    return Estimate(
        value,
        min(value, float(value - wider * (value - low))),
        max(value, float(value + wider * (high - value))),
    )


def estimate_median(values: Floats) -> Estimate | None:
    """Estimate the median of values, (images,), that are not NaN; None if there are none.

    The interval is that of the sign test, between two of the values: it covers the true median in
    at least 95 % of samples, whatever the values' distribution.
    """
    values = np.sort(values[~np.isnan(values)])
    count = len(values)
    if not count:
        return None
    median = float(np.median(values))
    if count < MIN_REFERENCES:
        return Estimate(median, None, None)
    # The largest k for which fewer than k of `count` coin tosses are heads in 2.5 % of trials.
    tosses = np.arange(count + 1)
    k = int((special.bdtr(tosses, count, 0.5) <= (1 - CONFIDENCE) / 2).sum())
    return Estimate(median, float(values[k - 1]), float(values[count - k]))


def _student_factor(images: int, tail: float) -> float:
    """Compute how much wider an interval of Student's t is than the resamples."""
    # The resamples' variance is (n - 1) / n of an unbiased estimate.
    unbiased = np.sqrt(images / (images - 1))
    return float(unbiased * special.stdtrit(images - 1, tail) / special.ndtri(tail))
