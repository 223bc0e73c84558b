"""The verdict of a gate about one codec by one metric."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import numpy as np

from roi_ray.decision.all_savings import BANDS, read_points
from roi_ray.decision.gate.image_pairs import ImagePairs
from roi_ray.decision.gate.inputs import CodecPair
from roi_ray.decision.gate.lost_curves import LostCurves, find_lost_curves
from roi_ray.decision.pchip import Floats
from roi_ray.decision.points import Points
from roi_ray.decision.resampling import Resamples
from roi_ray.decision.savings import Saving, summarize
from roi_ray.decision.score_table import SweepScores
from roi_ray.decision.words import name_band
from roi_ray.preference.statistics.intervals import MIN_REFERENCES
from roi_ray.runtime.words import count_noun

MAX_IMAGE_BD_RATE = 100.0
"""BD-rate of any single image, in percent, above which a codec is worse: twice the bits."""


class Verdict(StrEnum):
    """What the interval of a BD-rate says about the limit."""

    UNCHANGED = "unchanged"
    BETTER = "better"
    WITHIN = "within"
    NOT_PROVEN = "not proven"
    NOT_COMPARABLE = "not comparable"
    WORSE = "worse"


DOUBTS = (Verdict.NOT_PROVEN, Verdict.NOT_COMPARABLE)
"""Verdicts that pass with a warning, unless proof is required or the candidate is at fault."""


@dataclass(frozen=True)
class MetricCheck:
    """The verdict about one codec by one metric.

    Attributes:
        codec: the codec.
        metric: column of the scores.
        limit: largest BD-rate that is allowed, in percent.
        verdict: the verdict.
        fails: whether the gate fails because of it.
        reason: why, in one sentence; for `unchanged` and `better` too.
        saving: BD-rates of the candidate against the baseline; `Saving.per_image` is in the order
            of `Gate.images`.
        worst_image: reference of the image with the highest BD-rate, and that BD-rate in percent.
    """

    codec: CodecPair
    metric: str
    limit: float
    verdict: Verdict
    fails: bool
    reason: str
    saving: Saving
    worst_image: tuple[str, float] | None


def check_metric(
    codec: CodecPair,
    metric: str,
    limit: float,
    *,
    outputs: tuple[SweepScores, SweepScores],
    images: ImagePairs,
    max_image_bd_rate: float,
    require_proof: bool,
    resamples: int,
    seed: int,
) -> MetricCheck:
    """Compare one codec by one metric; for arguments see `roi_ray.decision.gate.run_gate`.

    Args:
        codec: the codec of both sides, each with at least one scored cell.
        metric: column of both scores.
        limit: largest BD-rate that is allowed, in percent.
        outputs: scores of the baseline and of the candidate.
        images: the images that both have.
        max_image_bd_rate: largest BD-rate of a single image that is allowed, in percent.
        require_proof: whether what is not proven fails.
        resamples: bootstrap resamples.
        seed: seed of the resamples.
    """
    baseline, candidate = outputs
    old = read_points(baseline, codec.baseline, metric).select(np.array(images.baseline))
    new = read_points(candidate, codec.candidate, metric).select(np.array(images.candidate))
    draws = Resamples(len(images), resamples, seed)
    saving = summarize(codec.candidate, old, new, draws)
    names = [baseline.images[number] for number in images.baseline]
    worst = _find_worst(saving, names)
    lost = find_lost_curves(old, new, max_image_bd_rate)
    judgement = (
        _Judgement(Verdict.UNCHANGED, False, "every number is the same")
        if _are_equal(old, new)
        else _judge_curves(lost, names)
        or _judge_worst_image(worst, max_image_bd_rate)
        or _judge_mean(saving, limit, lost)
    )
    if judgement.verdict in (Verdict.BETTER, Verdict.WITHIN):
        judgement = _judge_bands(old, new, limit, draws) or judgement
    verdict, fails, reason = judgement
    fails = fails or (require_proof and verdict in DOUBTS)
    return MetricCheck(codec, metric, limit, verdict, fails, reason, saving, worst)


class _Judgement(NamedTuple):
    """A verdict, whether it fails even if doubt passes, and the reason."""

    verdict: Verdict
    fails: bool
    reason: str


def _judge_curves(lost: LostCurves, names: Sequence[str]) -> _Judgement | None:
    """Let a candidate fail whose curves are broken where the baseline's are not."""
    if lost.broken:
        first, why = next(iter(lost.broken.items()))
        more = len(lost.broken) - 1
        others = f" and {count_noun(more, 'more image')}" if more else ""
        text = f"the candidate is broken on {names[first]}{others}: {why}"
        return _Judgement(Verdict.NOT_COMPARABLE, True, text)
    if lost.drift_is_significant:
        text = (
            f"{count_noun(lost.drift, 'image')} with a usable curve in the baseline cannot be "
            f"compared with the candidate: {lost.describe_drift()}. If the range of quality has "
            "moved on purpose, sweep both with more qualities"
        )
        return _Judgement(Verdict.NOT_COMPARABLE, True, text)
    return None


def _judge_worst_image(worst: tuple[str, float] | None, limit: float) -> _Judgement | None:
    if worst is None or worst[1] <= limit:
        return None
    text = f"{worst[0]} needs {worst[1]:.1f} % more bits; the limit of any image is {limit:g} %"
    return _Judgement(Verdict.WORSE, True, text)


def _judge_mean(saving: Saving, limit: float, lost: LostCurves) -> _Judgement:
    """Judge by the mean over images and its interval."""
    mean = saving.mean
    if mean is None:
        return _Judgement(Verdict.NOT_COMPARABLE, False, saving.reason or "no valid BD-rate")
    if mean.low is not None and mean.high is not None:
        return _judge_interval(mean.low, mean.high, limit, lost)
    valid = count_noun(saving.valid, "image")
    text = f"no interval: only {valid} with a valid BD-rate, {MIN_REFERENCES} are needed"
    if mean.value > limit:
        text = f"{mean.value:+.2f} % is above the limit of {limit:+g} %; {text}"
        return _Judgement(Verdict.WORSE, True, text)
    return _Judgement(Verdict.NOT_COMPARABLE, False, text)


def _judge_interval(low: float, high: float, limit: float, lost: LostCurves) -> _Judgement:
    interval = f"{low:+.2f} .. {high:+.2f} %"
    if low > limit:
        text = f"all of {interval} is above the limit of {limit:+g} %"
        return _Judgement(Verdict.WORSE, True, text)
    if high > limit:
        text = f"the limit of {limit:+g} % is inside {interval}"
        return _Judgement(Verdict.NOT_PROVEN, False, text)
    if not lost.drift_is_negligible:
        text = (
            f"{interval} is within the limit of {limit:+g} %, but without "
            f"{count_noun(lost.drift, 'image')} that cannot be compared: {lost.describe_drift()}"
        )
        return _Judgement(Verdict.NOT_PROVEN, False, text)
    if high < 0:
        return _Judgement(Verdict.BETTER, False, f"all of {interval} is below 0")
    text = f"all of {interval} is at most the limit of {limit:+g} %"
    return _Judgement(Verdict.WITHIN, False, text)


def _judge_bands(old: Points, new: Points, limit: float, draws: Resamples) -> _Judgement | None:
    """Doubt a good mean where the candidate is certainly worse within a band of bit rates."""
    worse = []
    for band in BANDS:
        mean = summarize("", old, new, draws, band=band).mean
        if mean is not None and mean.low is not None and mean.low > limit:
            worse.append(f"{mean.value:+.2f} % at {name_band(band)} bits per pixel")
    if not worse:
        return None
    text = f"good over all bit rates, but above the limit of {limit:+g} %: {', '.join(worse)}"
    return _Judgement(Verdict.NOT_PROVEN, False, text)


def _are_equal(old: Points, new: Points) -> bool:
    """Return whether all points have the same bit rates and the same quality."""
    return all(
        np.array_equal(*sides, equal_nan=True)
        for sides in zip(_sort_points(old), _sort_points(new), strict=True)
    )


def _sort_points(points: Points) -> tuple[Floats, Floats]:
    order = np.lexsort((points.quality, points.rates), axis=1)
    return (
        np.take_along_axis(points.rates, order, axis=1),
        np.take_along_axis(points.quality, order, axis=1),
    )


def _find_worst(saving: Saving, names: Sequence[str]) -> tuple[str, float] | None:
    if np.isnan(saving.per_image).all():
        return None
    number = int(np.nanargmax(saving.per_image))
    return names[number], float(saving.per_image[number])
