"""What a gate compares: codecs of both outputs, metrics, and whether the numbers are comparable."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import polars as pl

from roi_ray import schema
from roi_ray.decision.score_table import SweepScores
from roi_ray.errors import UsageError
from roi_ray.pipeline.run_record import Run, identity, list_differences

_NO_NUMBERS = ("manifest", "shard_size", "max_pixels", "allow_prefixes", "metrics")
"""Parts of a run's identity that do not change the scores of a pair."""


class CodecPair(NamedTuple):
    """A codec of the baseline, and the codec of the candidate that is compared with it."""

    baseline: str
    candidate: str

    def __str__(self) -> str:
        if self.baseline == self.candidate:
            return self.candidate
        return f"{self.candidate} against {self.baseline}"


def check_same_scoring(baseline: SweepScores, candidate: SweepScores) -> str | None:
    """Check that both outputs were scored with the same version, settings and weights.

    Returns:
        a note, if an output does not say how it was scored; else None.

    Raises:
        UsageError: they were scored in different ways; names the differences.
    """
    runs = [scores.run for scores in (baseline, candidate)]
    unknown = [s.uri for s, run in zip((baseline, candidate), runs, strict=True) if run is None]
    if unknown:
        return (
            f"{' and '.join(unknown)}: a table without a record of its run, so nobody checked that "
            "both were scored with the same settings, weights and version"
        )
    first, second = (_select_scoring(run) for run in runs if run is not None)
    if differences := list_differences(first, second):
        texts = [
            line.strip().replace(" before, ", " in the baseline, ").replace(" now", "")
            + " in the candidate"
            for line in differences
        ]
        raise UsageError(
            f"{baseline.uri} and {candidate.uri} were scored in different ways, so their numbers "
            f"cannot be compared: {'; '.join(texts)}. Score one of them again"
        )
    return None


def _select_scoring(run: Run) -> Run:
    """Select what decides the numbers of a pair."""
    facts = identity(run)
    config = {key: value for key, value in facts["config"].items() if key not in _NO_NUMBERS}
    return {**facts, "config": config}


def check_metrics(metrics: Iterable[str], outputs: Iterable[SweepScores]) -> None:
    """Check that outputs have numbers of each metric.

    Raises:
        UsageError: a metric is unknown, or an output lacks it.
    """
    outputs = list(outputs)
    for metric in metrics:
        meaning = schema.MEANINGS.get(metric)
        if meaning is None or meaning.better is None:
            known = ", ".join(name for name, other in schema.MEANINGS.items() if other.better)
            raise UsageError(f"{metric!r} is not a metric; metrics are {known}")
        for scores in outputs:
            if metric not in scores.metrics:
                raise UsageError(
                    f"{scores.uri} has no numbers of the metric {metric!r}; it has "
                    f"{', '.join(scores.metrics) or 'none'}"
                )


def pair_codecs(
    baseline: SweepScores,
    candidate: SweepScores,
    *,
    codecs: Sequence[str] = (),
    baseline_codec: str | None = None,
    candidate_codec: str | None = None,
) -> list[CodecPair]:
    """Choose which codecs are compared.

    Codecs are paired by name. Codecs whose rows all failed are there, too.

    Args:
        baseline: scores of the baseline.
        candidate: scores of the candidate.
        codecs: names to compare; empty for all of the baseline.
        baseline_codec: the codec of the baseline; the only one, if just `candidate_codec` is given.
        candidate_codec: likewise, of the candidate.

    Raises:
        UsageError: a codec is missing, or it is not clear which one is meant.
    """
    if codecs and (baseline_codec or candidate_codec):
        raise UsageError("give --codec, or --baseline-codec and --candidate-codec, not both")
    old, new = list_codecs(baseline), list_codecs(candidate)
    if baseline_codec or candidate_codec:
        pair = CodecPair(
            baseline_codec or _only(old, "baseline", prefer=candidate_codec),
            candidate_codec or _only(new, "candidate", prefer=baseline_codec),
        )
        _check_codecs([pair.baseline], old, baseline.uri)
        _check_codecs([pair.candidate], new, candidate.uri)
        return [pair]
    if codecs:
        names = list(dict.fromkeys(codecs))
        _check_codecs(names, old, baseline.uri)
        _check_codecs(names, new, candidate.uri)
        return [CodecPair(name, name) for name in names]
    missing = [name for name in old if name not in new]
    if not missing:
        return [CodecPair(name, name) for name in old]
    if len(old) == len(new) == 1:
        return [CodecPair(old[0], new[0])]
    raise UsageError(
        f"{candidate.uri} lacks codecs of the baseline: {', '.join(missing)}. It has "
        f"{', '.join(new)}. Choose what to compare with --codec NAME, or with --baseline-codec and "
        "--candidate-codec if the name has changed"
    )


def list_codecs(scores: SweepScores) -> list[str]:
    """List the codecs of all rows, failed ones included."""
    return sorted(str(name) for name in scores.column(schema.CODEC).drop_nulls().unique())


def count_failed(scores: SweepScores, codec: str, images: Iterable[str]) -> dict[str, int]:
    """Count the failed rows of a codec by kind of error, most frequent first.

    Args:
        scores: the scores.
        codec: the codec.
        images: references as written; rows of others do not count.
    """
    if schema.ERROR not in scores.column_names:
        return {}
    kind = schema.ERROR_KIND if schema.ERROR_KIND in scores.column_names else schema.ERROR
    frame = pl.DataFrame(
        {
            "image": scores.column(schema.REFERENCE),
            "codec": scores.column(schema.CODEC),
            "error": scores.column(schema.ERROR),
            "kind": scores.column(kind),
        }
    )
    failed = frame.filter(
        pl.col("error").is_not_null()
        & (pl.col("codec") == codec)
        & pl.col("image").is_in(list(images))
    )
    counts = failed["kind"].fill_null("unknown").value_counts(sort=True)
    return {str(name): int(count) for name, count in counts.iter_rows()}


def _only(names: list[str], side: str, prefer: str | None) -> str:
    if len(names) == 1:
        return names[0]
    if prefer in names and prefer is not None:
        return prefer
    raise UsageError(
        f"the {side} has {len(names)} codecs, {', '.join(names)}: choose one with --{side}-codec"
    )


def _check_codecs(names: Iterable[str], known: Sequence[str], uri: str) -> None:
    for name in names:
        if name not in known:
            raise UsageError(f"{uri} has no codec {name!r}; it has {', '.join(known)}")
