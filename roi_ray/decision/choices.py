"""The anchor, metrics and codecs of a decision: what the user names, or what there is."""

from collections.abc import Collection, Sequence

from roi_ray import schema
from roi_ray.decision.score_table import SweepScores
from roi_ray.errors import ManifestError, UsageError

DEFAULT_ANCHOR = "jpeg"
DEFAULT_METRICS = (*schema.PAPER_FEATURES, "ssimulacra2", "roi_ssimulacra2")
DECIDING = ("ssimulacra2", "ms_ssim")
"""Metrics that decide, the first that was measured, where the user names none."""


def choose_anchor(scores: SweepScores, anchor: str | None) -> str:
    """Choose the anchor: what the user names, `jpeg`, or the codec with the most points."""
    if not scores.codecs:
        why = ""
        if scores.failed_count:
            why = f": {scores.failed_count:,} rows failed; their column 'error' says why"
        elif scores.unnamed_count:
            why = f": {scores.unnamed_count:,} rows have no 'reference' or no 'codec'"
        raise ManifestError(f"{scores.uri} has no scored row{why}")
    if anchor is not None:
        _check_known([anchor], scores.codecs, "codec", scores.uri)
        return anchor
    if DEFAULT_ANCHOR in scores.codecs:
        return DEFAULT_ANCHOR
    return max(scores.codecs, key=lambda codec: (scores.codecs[codec].rows >= 0).sum())


def choose_metrics(scores: SweepScores, metrics: Sequence[str] | None) -> tuple[str, ...]:
    """Choose the metrics, the deciding one first: what the user names, or those measured."""
    if metrics:
        _check_known(metrics, scores.metrics, "metric", scores.uri)
        return tuple(dict.fromkeys(metrics))
    measured = [name for name in DEFAULT_METRICS if name in scores.metrics] or scores.metrics
    if not measured:
        raise ManifestError(f"{scores.uri} has no column with numbers of a quality metric")
    deciding = next((name for name in DECIDING if name in measured), measured[0])
    return (deciding, *(name for name in measured if name != deciding))


def choose_codecs(
    scores: SweepScores, anchor: str, codecs: Sequence[str] | None
) -> tuple[str, ...]:
    """Choose the codecs to compare with the anchor: what the user names, or all others."""
    if codecs:
        _check_known(codecs, scores.codecs, "codec", scores.uri)
    return tuple(codec for codec in codecs or scores.codecs if codec != anchor)


def _check_known(names: Sequence[str], known: Collection[str], kind: str, uri: str) -> None:
    for name in names:
        if name not in known:
            raise UsageError(f"{uri} has no {kind} {name!r}; there are {', '.join(known)}")
