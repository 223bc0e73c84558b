"""BD-rates of the codecs of a sweep against an anchor, over all images, with intervals."""

from collections.abc import Mapping
from dataclasses import dataclass

from roi_ray.decision.bd_rate import BdRates, compare_curves
from roi_ray.decision.flags import EXEMPT, Flag, count_flags
from roi_ray.decision.gaps import Gaps, find_gaps
from roi_ray.decision.mean_curves import MIN_VALID, MeanCurves
from roi_ray.decision.pchip import Floats
from roi_ray.decision.points import Points
from roi_ray.decision.rate_curves import Band, limit_to_band
from roi_ray.decision.resampling import RESAMPLES, Estimate, Resamples, estimate_median


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
        gaps: where points are missing, if the codec reaches too little of the anchor's range.
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
    gaps: Gaps | None = None

    @property
    def valid(self) -> int:
        """Number of images with a valid BD-rate."""
        return len(self.per_image) - sum(self.flags.values())

    @property
    def causes(self) -> tuple[Flag, ...]:
        """Why images that should have a BD-rate have none, the most frequent reason first.

        Where no image should have one, all reasons.
        """
        return tuple(flag for flag in self.flags if flag not in EXEMPT) or tuple(self.flags)

    @property
    def comparable(self) -> int:
        """Number of images that should have a BD-rate: see `flags.EXEMPT` for the others."""
        return _count_comparable(self.flags, len(self.per_image))


Savings = Mapping[tuple[str, str], Saving]
"""BD-rates by codec and metric; the anchor itself is not in it."""


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
        >>> import numpy as np
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
    mean_curves: MeanCurves | None = None,
) -> Saving:
    """Summarize the BD-rates of one codec.

    Args:
        codec: name of the codec.
        anchor: points of the anchor.
        other: points of the codec, by the same metric and of the same images.
        resamples: resamples of these images.
        found: BD-rate of each image, if they are known.
        band: band of bit rates to which the BD-rates are limited.
        mean_curves: mean curves of the two, if they are known.
    """
    if found is None:
        limits = None if band is None else limit_to_band(anchor.curves, band)
        found = compare_curves(anchor.curves, other.curves, limits)
    flags = count_flags(found.codes)
    reason = _explain_too_few(flags, len(found.codes))
    valid = reason is None
    curve, why, images = (mean_curves or MeanCurves(anchor, other, resamples)).compare(band)
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
        gaps=find_gaps(anchor.curves, other.curves, found.codes) if band is None else None,
    )


def _count_comparable(flags: Mapping[Flag, int], images: int) -> int:
    return images - sum(flags.get(flag, 0) for flag in EXEMPT)


def _explain_too_few(flags: Mapping[Flag, int], images: int) -> str | None:
    """Say why too few images are valid, by number of each flag; None if enough are."""
    comparable = _count_comparable(flags, images)
    if not comparable:
        return "; ".join(f"{n} of {images} images: {f}" for f, n in flags.items()) or "no images"
    invalid = {flag: n for flag, n in flags.items() if flag not in EXEMPT}
    if comparable - sum(invalid.values()) >= MIN_VALID * comparable:
        return None
    return "; ".join(f"{n} of {comparable} images: {flag}" for flag, n in invalid.items())
