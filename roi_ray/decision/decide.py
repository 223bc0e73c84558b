"""The decision between the codecs of a sweep."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from roi_ray import schema
from roi_ray.decision.preference import Preference, predict_preferences
from roi_ray.decision.resampling import RESAMPLES, Resamples
from roi_ray.decision.savings import Points, Saving, summarize
from roi_ray.decision.sweep_scores import SweepScores, read_sweep_scores
from roi_ray.errors import ManifestError, UsageError
from roi_ray.preference.model import PreferenceModel
from roi_ray.settings import DEFAULT_PREFERENCE_MODEL

Savings = Mapping[tuple[str, str], Saving]
"""BD-rates by codec and metric; the anchor itself is not in it."""

DEFAULT_ANCHOR = "jpeg"
DEFAULT_METRICS = (*schema.FEATURES, "ssimulacra2", "roi_ssimulacra2")
DECIDING = ("ssimulacra2", "ms_ssim")
"""Metrics that decide, the first that was measured, where the user names none."""


@dataclass(frozen=True)
class Decision:
    """Which codec of a sweep wins, by how much, where, and whether that can be believed.

    Attributes:
        scores: the scores that it is about.
        anchor: codec that the others are compared with.
        metrics: metrics that were compared, the deciding one first.
        savings: BD-rates over all images.
        bands: the same within bands of the anchor's bit rate: lower and upper end in bits per
            pixel.
        groups: the same within groups of images: column, value.
        preference: which codec people would prefer at equal bit rate, as a model predicts it; or
            why there is no prediction.
    """

    scores: SweepScores
    anchor: str
    metrics: tuple[str, ...]
    savings: Savings
    bands: Mapping[tuple[float, float], Savings]
    groups: Mapping[tuple[str, str], Savings]
    preference: Preference


def decide(
    scores: SweepScores | str,
    *,
    anchor: str | None = None,
    metrics: Sequence[str] | None = None,
    group_by: Sequence[str] = (),
    codecs: Sequence[str] | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
    model: PreferenceModel | str | None = DEFAULT_PREFERENCE_MODEL,
) -> Decision:
    """Compare the codecs of a sweep.

    Args:
        scores: the scores, or their URI.
        anchor: codec that the others are compared with; by default `jpeg`, or without one the codec
            with the most points.
        metrics: metrics to compare by, the deciding one first; by default the eight features and
            SSIMULACRA2, as far as they were measured.
        group_by: columns that group images by their content.
        codecs: codecs to compare; by default all. The anchor is always one of them.
        resamples: number of resamples of the images for the intervals; 0 for no intervals.
        seed: seed of the resamples, and of the images that preferences are predicted for if there
            are many.
        model: preference model, see `predict_preferences`; None or `none` for no prediction.

    Raises:
        UsageError: a codec, a metric or a column does not exist.
        ManifestError: the scores cannot be compared.
        StorageError: the scores cannot be read.
        WeightsError: the preference model cannot be loaded.
    """
    if isinstance(scores, str):
        scores = read_sweep_scores(scores)
    anchor = _choose_anchor(scores, anchor)
    metrics = _choose_metrics(scores, metrics)
    names = _choose_codecs(scores, anchor, codecs)
    draws = Resamples(len(scores.images), resamples, seed)
    savings = {}
    for metric in metrics:
        base = read_points(scores, anchor, metric)
        for codec in names:
            other = read_points(scores, codec, metric)
            savings[codec, metric] = summarize(codec, base, other, draws)
    preference = predict_preferences(scores, [anchor, *names], model, seed=seed)
    return Decision(scores, anchor, metrics, savings, {}, {}, preference)


def read_points(scores: SweepScores, codec: str, metric: str) -> Points:
    """Read the points of one codec by one metric."""
    named = scores.codecs[codec].names is not None
    return Points(scores.bit_rates(codec), scores.values(codec, metric), metric, named)


def _choose_anchor(scores: SweepScores, anchor: str | None) -> str:
    if not scores.codecs:
        raise ManifestError(f"{scores.uri} has no scored row")
    if anchor is not None:
        _check_known([anchor], scores.codecs, "codec", scores.uri)
        return anchor
    if DEFAULT_ANCHOR in scores.codecs:
        return DEFAULT_ANCHOR
    return max(scores.codecs, key=lambda codec: (scores.codecs[codec].rows >= 0).sum())


def _choose_metrics(scores: SweepScores, metrics: Sequence[str] | None) -> tuple[str, ...]:
    if metrics:
        _check_known(metrics, scores.metrics, "metric", scores.uri)
        return tuple(dict.fromkeys(metrics))
    measured = [name for name in DEFAULT_METRICS if name in scores.metrics] or scores.metrics
    if not measured:
        raise ManifestError(f"{scores.uri} has no column with numbers of a quality metric")
    deciding = next((name for name in DECIDING if name in measured), measured[0])
    return (deciding, *(name for name in measured if name != deciding))


def _choose_codecs(
    scores: SweepScores, anchor: str, codecs: Sequence[str] | None
) -> tuple[str, ...]:
    if codecs:
        _check_known(codecs, scores.codecs, "codec", scores.uri)
    return tuple(codec for codec in codecs or scores.codecs if codec != anchor)


def _check_known(names: Sequence[str], known: Collection[str], kind: str, uri: str) -> None:
    for name in names:
        if name not in known:
            raise UsageError(f"{uri} has no {kind} {name!r}; there are {', '.join(known)}")
