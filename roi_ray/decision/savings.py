"""BD-rates of the codecs of a sweep against an anchor, over all images, with intervals."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from roi_ray import schema
from roi_ray.decision.bd_rate import (
    VALID,
    Band,
    BdRates,
    Curves,
    Flag,
    Limits,
    compare_curves,
    count_flags,
    fit_curves,
    limit_to_band,
)
from roi_ray.decision.pchip import Floats
from roi_ray.decision.resampling import (
    RESAMPLES,
    Estimate,
    Mask,
    Resamples,
    estimate_median,
    make_estimate,
)

__all__ = ["MIN_VALID", "Estimate", "Saving", "compute_saving"]

MIN_VALID = 0.75
"""The least share of the comparable images that must have a valid BD-rate for a mean of them."""

MAX_PSNR = 100.0
"""PSNR of images without any difference: a cap, and no point of a curve."""

_BEST = {"ms_ssim": 1.0, "lpips": 0.0, "ssimulacra2": 100.0, "mse": 0.0}
"""Best value of metrics that have one, which is a point of a curve."""


@dataclass(frozen=True)
class Saving:
    """The BD-rates of one codec against the anchor by one metric, in percent; lower is better.

    Attributes:
        codec: the codec.
        metric: column of the scores.
        per_image: BD-rate of each image, (images,); NaN where it is not valid.
        flags: number of images without a valid BD-rate, by reason. Images that lack one of the two
            codecs are counted as `Flag.FEW_POINTS`.
        mean: mean over the images with a valid BD-rate; None where too few are valid (see
            `MIN_VALID`).
        median: median over them, likewise.
        curve: BD-rate of the mean curves: bit rates and quality averaged at each point, over the
            images that have all points of both codecs; None where it is not valid.
        curve_flag: why `curve` is not valid, in words; None if it is.
        reason: why `mean` and `median` are None, in words; None if they are numbers.
        curve_images: number of images behind `curve`.
    """

    codec: str
    metric: str
    per_image: Floats
    flags: Mapping[Flag, int]
    mean: Estimate | None
    median: Estimate | None
    curve: Estimate | None
    curve_flag: str | None
    reason: str | None
    curve_images: int = 0

    @property
    def valid(self) -> int:
        """Number of images with a valid BD-rate."""
        return len(self.per_image) - sum(self.flags.values())

    @property
    def comparable(self) -> int:
        """Number of images that should have a BD-rate: all but those without the metric."""
        return len(self.per_image) - self.flags.get(Flag.NOT_MEASURED, 0)


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
        """The quality without useless points of lossless images, and which points these are."""
        useless = _find_useless(self.rates, self.quality, self.metric)
        return np.where(useless, np.nan, self.quality), useless

    @cached_property
    def curves(self) -> Curves:
        """The curve of each image."""
        return fit_curves(self.rates, self.distinct[0], higher_is_better=self.higher_is_better)

    def select(self, images: NDArray[np.intp]) -> "Points":
        """Select images by number."""
        return replace(self, rates=self.rates[images], quality=self.quality[images])

    @cached_property
    def common(self) -> tuple[Floats, Floats]:
        """Bit rates and quality of the points that no image makes useless, (images, J)."""
        quality, useless = self.distinct
        kept = ~useless.any(0)
        return self.rates[:, kept], quality[:, kept]


def compute_saving(
    codec: str,
    metric: str,
    anchor_rates: Floats,
    anchor_quality: Floats,
    rates: Floats,
    quality: Floats,
    *,
    named: bool = True,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Saving:
    """Compute the BD-rates of one codec against an anchor, image by image and over all images.

    Args:
        codec: name of the codec.
        metric: column of the scores; `schema.MEANINGS` has its direction.
        anchor_rates: bit rates of the anchor in bits per pixel, (images, K), NaN where a point is
            missing.
        anchor_quality: the metric at these points, (images, K), likewise.
        rates: bit rates of the codec, (images, L), likewise.
        quality: the metric at these points, (images, L), likewise.
        named: whether point k is the same setting in all images, which mean curves need.
        resamples: number of resamples of the images for the intervals; 0 for no intervals.
        seed: seed of the resamples.

    Examples:
        >>> rates = np.geomspace(0.25, 2, 5) * np.array([[0.9], [1.0], [1.1], [1.0], [0.8], [1.2]])
        >>> quality = np.tile([28.0, 31, 34, 36, 39], (6, 1))
        >>> saving = compute_saving("avif", "psnr", rates, quality, 0.8 * rates, quality)
        >>> print(f"{saving.mean.value:+.1f} % ({saving.mean.low:+.1f} to {saving.mean.high:+.1f})")
        -20.0 % (-20.0 to -20.0)
    """
    anchor = Points(anchor_rates, anchor_quality, metric, named)
    other = Points(rates, quality, metric, named)
    return summarize(codec, anchor, other, Resamples(len(rates), resamples, seed))


def summarize(
    codec: str,
    anchor: Points,
    other: Points,
    resamples: Resamples,
    found: BdRates | None = None,
    band: Band | None = None,
) -> Saving:
    """Summarize the BD-rates of one codec.

    Args:
        codec: name of the codec.
        anchor: points of the anchor.
        other: points of the codec, by the same metric and of the same images.
        resamples: resamples of these images.
        found: BD-rate of each image, if they are known.
        band: band of bit rates to which the BD-rates are limited.
    """
    if found is None:
        limits = None if band is None else limit_to_band(anchor.curves, band)
        found = compare_curves(anchor.curves, other.curves, limits)
    flags = count_flags(found.codes)
    reason = _explain_too_few(flags, len(found.codes))
    valid = reason is None
    curve, why, images = _compare_mean_curves(anchor, other, resamples, band)
    return Saving(
        codec=codec,
        metric=other.metric,
        per_image=found.percent,
        flags=flags,
        mean=resamples.estimate_mean(found.percent) if valid else None,
        median=estimate_median(found.percent) if valid else None,
        curve=curve,
        curve_flag=why,
        reason=reason,
        curve_images=images,
    )


def _explain_too_few(flags: Mapping[Flag, int], images: int) -> str | None:
    """Say why too few images are valid; None if enough are."""
    comparable = images - flags.get(Flag.NOT_MEASURED, 0)
    if not comparable:
        return "no image has the metric" if images else "there are no images"
    invalid = {flag: n for flag, n in flags.items() if flag != Flag.NOT_MEASURED}
    if comparable - sum(invalid.values()) >= MIN_VALID * comparable:
        return None
    return "; ".join(f"{n} of {comparable} images: {flag}" for flag, n in invalid.items())


def _compare_mean_curves(
    anchor: Points, other: Points, resamples: Resamples, band: Band | None
) -> tuple[Estimate | None, str | None, int]:
    """Compute the BD-rate of the mean curves: estimate, why there is none, number of images."""
    if not (anchor.named and other.named):
        return None, "the points of the images differ: the scores do not say what was asked for", 0
    sides = [side.common for side in (anchor, other)]
    present = [np.isfinite(rates) & np.isfinite(quality) for rates, quality in sides]
    complete = np.logical_and(present[0].all(1), present[1].all(1))
    images = int(complete.sum())
    measured = int((present[0].any(1) | present[1].any(1)).sum())
    if not images or images < MIN_VALID * measured:
        return None, f"{images} of {measured} images have all points of both codecs", images
    columns = np.hstack([part for side in sides for part in side])
    value = _compare_means(columns[complete].mean(0)[None], sides, anchor.higher_is_better, band)
    if value.codes[0] != VALID:
        (flag,) = count_flags(value.codes)
        return None, str(flag), images
    samples = resamples.average(np.where(complete[:, None], columns, 0), complete)
    percents = _compare_means(samples, sides, anchor.higher_is_better, band).percent
    return make_estimate(float(value.percent[0]), percents, images), None, images


def _compare_means(
    means: Floats, sides: list[tuple[Floats, Floats]], higher_is_better: bool, band: Band | None
) -> BdRates:
    """Compute BD-rates of rows of means: rates and quality of the anchor, then of the codec."""
    widths = [part.shape[1] for side in sides for part in side]
    parts = np.split(means, np.cumsum(widths)[:-1], axis=1)
    anchor = fit_curves(parts[0], parts[1], higher_is_better=higher_is_better)
    other = fit_curves(parts[2], parts[3], higher_is_better=higher_is_better)
    limits: Limits | None = None if band is None else limit_to_band(anchor, band)
    return compare_curves(anchor, other, limits)


def _find_useless(rates: Floats, quality: Floats, metric: str) -> Mask:
    """Find points of lossless images that are no points of a curve.

    A PSNR of 100 dB stands for infinity. Of other metrics, only the lossless point with the fewest
    bits counts: more bits cannot improve it.
    """
    name = metric.removeprefix("roi_")
    if name == "psnr":
        useless: Mask = quality >= MAX_PSNR
        return useless
    if name not in _BEST:
        return np.zeros(quality.shape, np.bool_)
    best = quality == _BEST[name]
    least = np.where(best, rates, np.inf).min(1, keepdims=True, initial=np.inf)
    more: Mask = best & (rates > least)
    return more
