"""The cells of a sweep that are worth looking at, and why."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from typing import Literal

import numpy as np

from roi_ray.decision.highlights.near_cells import NearCells, find_near_cells
from roi_ray.decision.highlights.texts import (
    describe_difference,
    describe_disagreement,
    describe_worst,
)
from roi_ray.decision.highlights.worst_cells import find_worst_cells
from roi_ray.decision.pchip import Floats
from roi_ray.decision.preferences.predict import Preference
from roi_ray.decision.score_table import SweepScores

Kind = Literal["disagreement", "difference", "worst"]
KINDS: tuple[Kind, ...] = ("disagreement", "difference", "worst")

MAX_PAIRS = 200_000
"""Images are sampled where there are more of them, times pairs of codecs."""

MAX_IMAGES = 50_000
"""Images are sampled where there are more of them."""

_PER_PAIR = 20  # candidates that are kept of each pair of codecs, kind and metric
_REPEATED_IMAGE, _REPEATED_NAME = 0.1, 0.7  # how much less an image, codec or metric counts again


@dataclass(frozen=True)
class Highlight:
    """One or two cells of an image that are worth looking at.

    Attributes:
        kind: `disagreement`: metrics and the preference model, or two metrics, disagree on which
            cell is better. `difference`: the codecs differ much at the same bit rate. `worst`: the
            cell with the worst quality.
        text: one sentence that says why the cells are shown.
        image: the `reference` of the image, as written in the scores.
        rows: row numbers in the scores of cell A and cell B; `worst` has cell A only.
    """

    kind: Kind
    text: str
    image: str
    rows: tuple[int, ...]


@dataclass(frozen=True)
class _Candidate:
    """A possible highlight.

    Attributes:
        score: how striking it is; comparable within a kind.
        image: the `reference` of the image.
        rows: row numbers in the scores.
        codecs: codecs of the cells.
        metric: the metric that disagrees, or that says so.
        text: the sentence.
    """

    score: float
    image: str
    rows: tuple[int, ...]
    codecs: tuple[str, ...]
    metric: str
    text: str


def choose_highlights(
    scores: SweepScores,
    preference: Preference | None,
    metrics: Sequence[str],
    codecs: Sequence[str] | None = None,
    *,
    limit: int = 12,
    seed: int = 0,
    max_pairs: int = MAX_PAIRS,
) -> list[Highlight]:
    """Choose cells that are worth looking at, spread over images and codecs.

    - `disagreement`: a metric and the preference model prefer different cells at nearly equal bit
      rate, each by much; without a model, the first metric and another one do.
    - `difference`: by the first metric, one codec is much better at nearly equal bit rate.
    - `worst`: a cell that is unusually bad for this codec at this point, see `find_worst_cells`.

    The kinds take turns. An image and a pair of codecs are shown together once at most.

    Args:
        scores: scores of a sweep.
        preference: predictions, from `predict_preferences`; None for none.
        metrics: metrics to look at, the deciding one first.
        codecs: codecs to look at; None for all.
        limit: number of highlights, at most.
        seed: seed of the sample of images.
        max_pairs: images are sampled where their number times that of pairs of codecs is larger,
            and where there are more than `MAX_IMAGES`. The worst cells are those of all images.

    Returns:
        highlights, those of a kind together and the most striking first; empty if there are none.
    """
    if not metrics:
        return []
    chosen = sorted(scores.codecs if codecs is None else codecs)
    model = None if preference is None else preference.model
    pairs = max(1, len(chosen) * (len(chosen) - 1) // 2)
    count = min(MAX_IMAGES, max(1, max_pairs // pairs))
    images = np.arange(len(scores.images))
    if len(images) > count:
        images = np.sort(np.random.default_rng(seed).choice(images, count, replace=False))
    candidates: dict[Kind, list[_Candidate]] = {kind: [] for kind in KINDS}
    for cells in find_near_cells(scores, chosen, metrics, model, images):
        candidates["disagreement"] += _find_disagreements(cells, scores, metrics)
        candidates["difference"] += _find_differences(cells, scores, metrics)
    for cell in find_worst_cells(scores, chosen, metrics):
        text = describe_worst(cell)
        candidates["worst"].append(
            _Candidate(cell.z, cell.image, (cell.row,), (cell.codec,), cell.metric, text)
        )
    return _spread_out(candidates, limit)


def _find_disagreements(
    cells: NearCells, scores: SweepScores, metrics: Sequence[str]
) -> Iterator[_Candidate]:
    """Find the cells on which each metric disagrees most with the model, or with the first one."""
    judge = len(metrics) if np.isfinite(cells.share).any() else 0
    theirs = cells.leads[:, judge]
    for number, metric in enumerate(metrics):
        ours = cells.leads[:, number]
        # Both must be sure of their opinion: the weaker one counts.
        weaker = np.minimum(np.abs(ours), np.abs(theirs))
        strength = np.nan_to_num(np.where(ours * theirs < 0, weaker, 0))
        for n in _find_strongest(strength):
            text = describe_disagreement(cells, n, metrics, number, judge)
            yield _to_candidate(strength, cells, n, scores, metric, text)


def _find_differences(
    cells: NearCells, scores: SweepScores, metrics: Sequence[str]
) -> Iterator[_Candidate]:
    """Find the cells that differ most by the first metric."""
    strength = np.nan_to_num(np.abs(cells.leads[:, 0]))
    for n in _find_strongest(strength):
        text = describe_difference(cells, n, metrics[0])
        yield _to_candidate(strength, cells, n, scores, metrics[0], text)


def _find_strongest(strength: Floats) -> list[int]:
    """List where the largest numbers above 0 are, the largest first."""
    order = np.argsort(-strength, kind="stable")[:_PER_PAIR]
    return [int(n) for n in order if strength[n] > 0]


def _to_candidate(
    strength: Floats,
    cells: NearCells,
    n: int,
    scores: SweepScores,
    metric: str,
    text: str,
) -> _Candidate:
    image = scores.images[cells.image[n]]
    rows = (int(cells.rows[n, 0]), int(cells.rows[n, 1]))
    return _Candidate(float(strength[n]), image, rows, cells.codecs, metric, text)


def _spread_out(candidates: dict[Kind, list[_Candidate]], limit: int) -> list[Highlight]:
    """Choose the strongest candidates, kind by kind in turn; new images, codecs, metrics first."""
    images: Counter[str] = Counter()
    codecs: Counter[str] = Counter()
    metrics: Counter[tuple[Kind, str]] = Counter()
    shown: set[tuple[str, tuple[str, ...]]] = set()
    chosen: list[Highlight] = []

    def value(candidate: _Candidate, kind: Kind) -> float:
        if (candidate.image, candidate.codecs) in shown:
            return 0.0
        used = [codecs[codec] for codec in candidate.codecs]
        repeated = sum(used) / len(used) + metrics[kind, candidate.metric]
        return float(
            candidate.score * _REPEATED_IMAGE ** images[candidate.image] * _REPEATED_NAME**repeated
        )

    open_kinds = set(KINDS)
    for kind in cycle(KINDS):
        if not open_kinds or len(chosen) == limit:
            break
        best = max(candidates[kind], key=partial(value, kind=kind), default=None)
        if best is None or value(best, kind) <= 0:
            open_kinds.discard(kind)
            continue
        chosen.append(Highlight(kind, best.text, best.image, best.rows))
        images[best.image] += 1
        codecs.update(best.codecs)
        metrics[kind, best.metric] += 1
        shown.add((best.image, best.codecs))
    return sorted(chosen, key=lambda highlight: KINDS.index(highlight.kind))
