"""Has a candidate everything that its baseline has? Scored cells, failed rows, and images."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roi_ray.decision.gate.image_pairs import ImagePairs, list_examples
from roi_ray.decision.gate.inputs import CodecPair, count_failed
from roi_ray.decision.score_table import MISSING, SweepScores
from roi_ray.errors import UsageError
from roi_ray.runtime.words import count_noun


@dataclass(frozen=True)
class CellCheck:
    """The cells of one codec: image x quality.

    Attributes:
        codec: the codec.
        baseline_cells: scored cells of the baseline, of the images that both have.
        candidate_cells: likewise, of the candidate.
        lost: cells that the candidate lacks: the sum over images of how many fewer it has.
        baseline_failed: failed rows of the baseline, by kind of error.
        candidate_failed: failed rows of the candidate, by kind of error.
        problem: why the gate fails, in one sentence; None if it does not.
    """

    codec: CodecPair
    baseline_cells: int
    candidate_cells: int
    lost: int
    baseline_failed: dict[str, int]
    candidate_failed: dict[str, int]
    problem: str | None


def check_cells(
    codec: CodecPair,
    baseline: SweepScores,
    candidate: SweepScores,
    images: ImagePairs,
    common_images: bool,
) -> CellCheck:
    """Check that the candidate has every cell that the baseline has, and no more failed rows.

    Args:
        codec: the codec.
        baseline: scores of the baseline.
        candidate: scores of the candidate.
        images: the images that both have.
        common_images: whether the candidate may lack images of the baseline.

    Raises:
        UsageError: the baseline has no cell of the codec.
    """
    old = _count_cells(baseline, codec.baseline, images.baseline)
    new = _count_cells(candidate, codec.candidate, images.candidate)
    if not old.any():
        raise UsageError(
            f"{baseline.uri} has no scored row of codec {codec.baseline!r} for the images that "
            "both have: it cannot be a baseline"
        )
    lost = int(np.maximum(old - new, 0).sum())
    failed = [
        count_failed(scores, name, [scores.images[number] for number in numbers])
        for scores, name, numbers in (
            (baseline, codec.baseline, images.baseline),
            (candidate, codec.candidate, images.candidate),
        )
    ]
    problems = []
    before, now = (sum(kinds.values()) for kinds in failed)
    if now > before:
        problems.append(
            f"{count_noun(now, 'row')} of the candidate failed ({_list_kinds(failed[1])}), "
            f"{before} of the baseline"
        )
    if lost:
        affected = tuple(
            baseline.images[number]
            for number, fewer in zip(images.baseline, old > new, strict=True)
            if fewer
        )
        problems.append(
            f"the candidate lacks {lost} of the {old.sum()} scored cells of the baseline, of "
            f"{list_examples(affected)}"
        )
    if images.only_baseline and not common_images:
        missing = count_noun(len(images.only_baseline), "image")
        problems.append(
            f"the candidate lacks {missing} of the baseline: "
            f"{list_examples(images.only_baseline)} (--common-images allows it)"
        )
    return CellCheck(
        codec,
        int(old.sum()),
        int(new.sum()),
        lost,
        failed[0],
        failed[1],
        "; ".join(problems) or None,
    )


def _count_cells(scores: SweepScores, codec: str, images: Sequence[int]) -> NDArray[np.int64]:
    """Count the scored cells of each image, (images,)."""
    if codec not in scores.codecs:  # all its rows failed
        return np.zeros(len(images), np.int64)
    counts: NDArray[np.int64] = (scores.codecs[codec].rows[list(images)] != MISSING).sum(axis=1)
    return counts


def _list_kinds(kinds: dict[str, int]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in kinds.items())
