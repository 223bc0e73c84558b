"""The points of one codec by one metric, image by image."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from roi_ray import schema
from roi_ray.decision.pchip import Floats
from roi_ray.decision.rate_curves import Curves, fit_curves
from roi_ray.decision.resampling import Mask
from roi_ray.settings import PSNR_CAP

_BEST = {"ms_ssim": 1.0, "lpips": 0.0, "ssimulacra2": 100.0, "ssimulacra2_y": 100.0, "mse": 0.0}
"""Best value of metrics that have one, which is a point of a curve."""

_IN_DB = "ms_ssim"
"""The metric whose curves are in dB; see `Points.distinct`."""


@dataclass(frozen=True)
class Points:
    """The points of one codec by one metric.

    Attributes:
        rates: bit rates in bits per pixel, (images, K); NaN where there is no number.
        quality: the metric, likewise.
        metric: column of the scores.
        named: whether point k is the same setting in all images, which mean curves need.
    """

    rates: Floats
    quality: Floats
    metric: str
    named: bool = True

    @property
    def higher_is_better(self) -> bool:
        """Direction of the metric."""
        return schema.MEANINGS[self.metric].better == "higher"

    @cached_property
    def distinct(self) -> tuple[Floats, Mask]:
        """The quality as BD-rates see it, without useless points, and which points are useless.

        MS-SSIM is converted to dB, -10 log10(1 - ms_ssim), as is common: the values themselves
        change much at the lowest bit rates and hardly at others. MS-SSIM under the mask is not
        converted, because its best value depends on the mask.
        """
        useless = _find_useless(self.rates, self.quality, self.metric)
        quality = np.where(useless, np.nan, self.quality)
        return -10 * np.log10(1 - quality) if self.metric == _IN_DB else quality, useless

    @cached_property
    def curves(self) -> Curves:
        """The curve of each image, of the quality that `distinct` has."""
        return fit_curves(self.rates, self.distinct[0], higher_is_better=self.higher_is_better)

    @cached_property
    def mean_curves(self) -> dict[object, Curves]:
        """Mean curves that were fitted already, by the images and resamples behind them."""
        return {}

    def select(self, images: NDArray[np.intp]) -> "Points":
        """Select images by number."""
        return replace(self, rates=self.rates[images], quality=self.quality[images])

    @cached_property
    def common(self) -> tuple[Floats, Floats]:
        """Bit rates and quality of the points that no image makes useless, (images, J)."""
        quality, useless = self.distinct
        kept = ~useless.any(0)
        return self.rates[:, kept], quality[:, kept]


def name_unit(metric: str) -> str:
    """Return the unit of a metric's curves, such as `dB`; empty if it has none."""
    unit = "dB" if metric == _IN_DB else schema.MEANINGS[metric].unit
    return "" if unit == "1" else unit


def _find_useless(rates: Floats, quality: Floats, metric: str) -> Mask:
    """Find points of lossless images that are no points of a curve.

    A PSNR of 100 dB stands for infinity, and an MS-SSIM of 1 is infinite in dB. Of other metrics,
    only the lossless point with the fewest bits counts: more bits cannot improve it.
    """
    if metric == _IN_DB:
        lossless: Mask = quality >= 1
        return lossless
    name = metric.removeprefix("roi_")
    if name == "psnr":
        useless: Mask = quality >= PSNR_CAP
        return useless
    if name not in _BEST:
        return np.zeros(quality.shape, np.bool_)
    best = quality == _BEST[name]
    least = np.where(best, rates, np.inf).min(1, keepdims=True, initial=np.inf)
    more: Mask = best & (rates > least)
    return more
