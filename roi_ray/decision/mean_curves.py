"""BD-rate of mean curves: bit rates and quality averaged over images at each point."""

from functools import cached_property

import numpy as np

from roi_ray.decision.bd_rate import compare_curves
from roi_ray.decision.flags import VALID, count_flags
from roi_ray.decision.points import Points
from roi_ray.decision.rate_curves import Band, Curves, fit_curves, limit_to_band
from roi_ray.decision.resampling import Estimate, Resamples, make_estimate

MIN_VALID = 0.75
"""The least share of the comparable images that must be valid for a number about all of them."""


class MeanCurves:
    """The mean curves of a codec and its anchor, and those of resampled images.

    The means are over the images that have all points of both codecs, and the points that no
    lossless image makes useless, see `Points.common`. A point with a bit rate of zero counts as
    missing: averaged with others, it would look like a small file.

    Args:
        anchor: points of the anchor.
        other: points of the codec, of the same images.
        resamples: resamples of these images.
    """

    def __init__(self, anchor: Points, other: Points, resamples: Resamples) -> None:
        self._named = anchor.named and other.named
        self._resamples = resamples
        self._sides = anchor, other
        present = [
            (rates > 0) & np.isfinite(rates) & np.isfinite(q)
            for rates, q in (anchor.common, other.common)
        ]
        self._complete = np.logical_and(present[0].all(1), present[1].all(1))
        self._images = int(self._complete.sum())
        self._measured = int((present[0].any(1) | present[1].any(1)).sum())

    def compare(self, band: Band | None = None) -> tuple[Estimate | None, str | None, int]:
        """Compute the BD-rate of the mean curves.

        Args:
            band: bit rates of the anchor's mean curve to which it is limited.

        Returns:
            estimate, None where it is not valid; why it is not, in words; number of images behind.
        """
        if not self._named:
            return None, "points differ by image: the scores do not say what was asked for", 0
        if not self._images or self._images < MIN_VALID * self._measured:
            text = f"{self._images} of {self._measured} images have all points of both codecs"
            return None, text, self._images
        anchor, other = self._curves
        limits = None if band is None else limit_to_band(anchor, band)
        found = compare_curves(anchor, other, limits)
        if found.codes[0] != VALID:
            (flag,) = count_flags(found.codes[:1])
            return None, str(flag), self._images
        value = float(found.percent[0])
        return make_estimate(value, found.percent[1:], self._images), None, self._images

    @cached_property
    def _curves(self) -> tuple[Curves, Curves]:
        """Mean curves of both codecs; curve 0 is of all images, the others of the resamples."""
        # Each side by itself: BLAS rounds columns of one product differently.
        anchor, other = map(self._fit_means, self._sides)
        return anchor, other

    def _fit_means(self, side: Points) -> Curves:
        # All codecs share the anchor, and mostly its images too.
        key = self._resamples, self._complete.tobytes()
        if key not in side.mean_curves:
            rates, quality = side.common
            columns = np.hstack([rates, quality])
            mean = columns[self._complete].mean(0, keepdims=True)
            means = np.vstack([mean, self._resamples.average(columns, self._complete)])
            side.mean_curves[key] = fit_curves(
                means[:, : rates.shape[1]],
                means[:, rates.shape[1] :],
                higher_is_better=side.higher_is_better,
            )
        return side.mean_curves[key]
