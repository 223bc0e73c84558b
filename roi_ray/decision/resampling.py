"""Resamples of the images of a sweep, for intervals."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from roi_ray.decision.pchip import Floats, Integers
from roi_ray.preference.intervals import CONFIDENCE, MIN_REFERENCES

RESAMPLES = 1000

MAX_UNITS = 2000
"""More images than this are resampled in groups, of random images, that stay together."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Estimate:
    """A number of a sample of images.

    Attributes:
        value: the number.
        low: lower end of its 95 % interval over images; None where there are too few images for an
            interval.
        high: upper end.
    """

    value: float
    low: float | None
    high: float | None


class Resamples:
    """Images drawn with replacement, as many as there are.

    All numbers of a sweep use the same draws, so that the differences of two codecs are paired.
    Of more than `MAX_UNITS` images, random groups are drawn instead: a mean of groups varies as
    much as a mean of images, and memory does not grow.

    Args:
        images: number of images.
        resamples: number of resamples, R; 0 for no intervals.
        seed: seed of the random numbers.
    """

    def __init__(self, images: int, resamples: int = RESAMPLES, seed: int = 0) -> None:
        self.images = images
        random = np.random.default_rng(seed)
        units = min(images, MAX_UNITS)
        self._unit: Integers = np.arange(images)
        if images > units:
            self._unit = random.permutation(images) % units
        self._weights: Floats = np.zeros((resamples, max(units, 1)))
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
        units = self._weights.shape[1]
        counts = np.bincount(self._unit[mask], minlength=units).astype(np.float64)
        sums = values[mask]
        if len(sums) != units:
            sums = np.empty((units, values.shape[1]))
            for column in range(values.shape[1]):
                sums[:, column] = np.bincount(self._unit[mask], values[mask, column], units)
        with np.errstate(invalid="ignore"):
            means: Floats = (self._weights @ sums) / (self._weights @ counts)[:, None]
        return means

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
    samples = samples[~np.isnan(samples)]
    if images < MIN_REFERENCES or not samples.size:
        return Estimate(value, None, None)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(samples, [tail, 1 - tail])
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
