"""Mean rate-quality curves for charts, with intervals over images."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from roi_ray.decision.all_savings import read_points
from roi_ray.decision.pchip import Floats
from roi_ray.decision.points import Points
from roi_ray.decision.resampling import RESAMPLES, Estimate, Mask, Resamples, make_estimate
from roi_ray.decision.score_table import SweepScores


@dataclass(frozen=True)
class MeanCurve:
    """The mean curve of one codec by one metric.

    Attributes:
        codec: the codec.
        metric: column of the scores.
        names: what was asked for at each point, such as `quality=35`, the lowest mean bit rate
            first; J points. Points at which an image became lossless are left out where its value
            would be meaningless, see `Points.distinct`.
        rates: mean bit rate of each point, in bits per pixel, with intervals over images.
        quality: mean of the metric at each point, likewise; MS-SSIM of the full frame in dB, see
            `Points.distinct`.
        images: number of images that have all points, which the means are over.
        left_out: number of images with some points only.
        reason: why there are no points, in words; None if there are.
    """

    codec: str
    metric: str
    names: tuple[str, ...]
    rates: tuple[Estimate, ...]
    quality: tuple[Estimate, ...]
    images: int
    left_out: int
    reason: str | None = None


def average_curves(
    scores: SweepScores,
    metric: str,
    *,
    codecs: Sequence[str] | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, MeanCurve]:
    """Average the curves of each codec over the images that have all of its points.

    Images can differ between codecs, if some cells failed: see `MeanCurve.left_out`.

    Args:
        scores: the scores.
        metric: column of the scores.
        codecs: codecs, by default all.
        resamples: number of resamples of the images for the intervals; 0 for no intervals.
        seed: seed of the resamples, the same for all codecs.

    Returns:
        curve by codec.
    """
    draws = Resamples(len(scores.images), resamples, seed)
    curves = {}
    for codec in scores.codecs if codecs is None else codecs:
        points = read_points(scores, codec, metric)
        curves[codec] = _average(codec, scores.codecs[codec].names, points, draws)
    return curves


def _average(
    codec: str, names: tuple[str, ...] | None, points: Points, draws: Resamples
) -> MeanCurve:
    quality, useless = points.distinct
    kept: Mask = np.logical_not(useless.any(0))
    present = np.isfinite(points.rates) & np.isfinite(quality)
    complete = present[:, kept].all(1) & kept.any()
    images = int(complete.sum())
    left_out = int(present.any(1).sum()) - images
    if names is None or not images:
        reason = "no image has all points of the codec"
        if names is None:
            reason = "points differ by image: the scores do not say what was asked for"
        return MeanCurve(codec, points.metric, (), (), (), images, left_out, reason)
    return MeanCurve(
        codec=codec,
        metric=points.metric,
        names=tuple(name for name, keep in zip(names, kept, strict=True) if keep),
        rates=_estimate_means(points.rates[:, kept], complete, draws),
        quality=_estimate_means(quality[:, kept], complete, draws),
        images=images,
        left_out=left_out,
    )


def _estimate_means(values: Floats, complete: Mask, draws: Resamples) -> tuple[Estimate, ...]:
    """Estimate the mean of each column over the images that are complete."""
    means, samples = values[complete].mean(0), draws.average(values, complete)
    images = int(complete.sum())
    return tuple(make_estimate(float(m), samples[:, k], images) for k, m in enumerate(means))
