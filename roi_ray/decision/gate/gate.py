"""Is the candidate build of a codec worse than its baseline?

A gate for continuous integration: BD-rates of two outputs of `roi-ray score`, with intervals over
the images that both have, against a limit.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from roi_ray.decision.gate.cells import CellCheck, check_cells
from roi_ray.decision.gate.image_pairs import ImagePairs, list_examples, match_images
from roi_ray.decision.gate.inputs import (
    check_metrics,
    check_same_scoring,
    list_codecs,
    pair_codecs,
)
from roi_ray.decision.gate.verdict import (
    DOUBTS,
    MAX_IMAGE_BD_RATE,
    MetricCheck,
    Verdict,
    check_metric,
)
from roi_ray.decision.resampling import RESAMPLES
from roi_ray.decision.score_table import SweepScores
from roi_ray.decision.sweep_scores import read_sweep_scores
from roi_ray.errors import UsageError


@dataclass(frozen=True)
class Gate:
    """The outcome of a gate.

    Attributes:
        baseline: scores of the baseline.
        candidate: scores of the candidate.
        images: the images that both have.
        cells: for each codec, whether the candidate has what the baseline has.
        checks: for each codec and metric, the verdict.
        notes: sentences about what was not checked.
        require_proof: whether doubt fails.
    """

    baseline: SweepScores
    candidate: SweepScores
    images: ImagePairs
    cells: tuple[CellCheck, ...]
    checks: tuple[MetricCheck, ...]
    notes: tuple[str, ...]
    require_proof: bool

    @property
    def failures(self) -> list[str]:
        """What fails, one sentence each."""
        return [
            *(f"{cell.codec}: {cell.problem}" for cell in self.cells if cell.problem),
            *(f"{c.codec}, {c.metric}: {c.reason}" for c in self.checks if c.fails),
        ]

    @property
    def doubts(self) -> list[str]:
        """What passes, but is not proven, one sentence each."""
        return [
            f"{c.codec}, {c.metric}: {c.reason}"
            for c in self.checks
            if not c.fails and c.verdict in DOUBTS
        ]

    @property
    def passes(self) -> bool:
        """Whether the candidate may be merged."""
        return not self.failures


def run_gate(
    baseline: SweepScores | str,
    candidate: SweepScores | str,
    limits: Mapping[str, float],
    *,
    codecs: Sequence[str] = (),
    baseline_codec: str | None = None,
    candidate_codec: str | None = None,
    max_image_bd_rate: float = MAX_IMAGE_BD_RATE,
    require_proof: bool = False,
    common_images: bool = False,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Gate:
    """Compare a candidate with its baseline.

    Args:
        baseline: scores, or an output of `roi-ray score`.
        candidate: likewise.
        limits: largest BD-rate that is allowed, in percent, by metric.
        codecs: codecs to compare; empty for all of the baseline.
        baseline_codec: codec of the baseline, if it has another name in the candidate.
        candidate_codec: codec of the candidate, likewise.
        max_image_bd_rate: largest BD-rate of a single image that is allowed, in percent.
        require_proof: whether what is not proven fails.
        common_images: whether the candidate may lack images of the baseline.
        resamples: bootstrap resamples.
        seed: seed of the resamples.

    Raises:
        UsageError: the two cannot be compared: other settings, a missing codec or metric, too few
            images in common.
        ManifestError: a table lacks columns.
        StorageError: scores cannot be read.
    """
    if not limits:
        raise UsageError("name at least one metric with --metric")
    old = read_sweep_scores(baseline) if isinstance(baseline, str) else baseline
    new = read_sweep_scores(candidate) if isinstance(candidate, str) else candidate
    unknown_scoring = check_same_scoring(old, new)
    pairs = pair_codecs(
        old,
        new,
        codecs=codecs,
        baseline_codec=baseline_codec,
        candidate_codec=candidate_codec,
    )
    images = match_images(old, new)
    cells = tuple(check_cells(pair, old, new, images, common_images) for pair in pairs)
    empty = {cell.codec for cell in cells if not cell.candidate_cells}
    check_metrics(limits, (old,) if len(empty) == len(cells) else (old, new))
    compare = partial(
        check_metric,
        outputs=(old, new),
        images=images,
        max_image_bd_rate=max_image_bd_rate,
        require_proof=require_proof,
        resamples=resamples,
        seed=seed,
    )
    checks = [
        compare(pair, metric, limit)
        for pair in pairs
        if pair not in empty
        for metric, limit in limits.items()
    ]
    notes = [unknown_scoring] if unknown_scoring else []
    compared = {codec for pair in pairs for codec in pair}
    for side, scores in (("baseline", old), ("candidate", new)):
        others = tuple(name for name in list_codecs(scores) if name not in compared)
        if others:
            notes.append(f"Codecs of the {side} that were not compared: {list_examples(others)}.")
    return Gate(
        old, new, images, cells, tuple(_fail_unchecked(checks)), tuple(notes), require_proof
    )


def _fail_unchecked(checks: Sequence[MetricCheck]) -> Iterator[MetricCheck]:
    """Let a codec fail for which no metric could be compared."""
    seen = {check.codec for check in checks if check.verdict is not Verdict.NOT_COMPARABLE}
    for check in checks:
        yield (
            check
            if check.codec in seen or check.fails
            else replace(
                check,
                fails=True,
                reason=f"{check.reason}; no metric of this codec could be compared",
            )
        )
