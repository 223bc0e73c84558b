"""What the operator sees of the answers, computed in another process, and once per answer."""

import asyncio
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from roi_ray.votes.asking.stopping import RankingSoFar, rank_so_far
from roi_ray.votes.asking.subjects import list_names
from roi_ray.votes.http.processes import Processes
from roi_ray.votes.http.writer import Writer
from roi_ray.votes.options import VoteOptions
from roi_ray.votes.records import Answer
from roi_ray.votes.store.agreement import RaterSummary, summarize_raters
from roi_ray.votes.store.export import build_comparisons
from roi_ray.votes.study import Study
from roi_ray.web.defects import log_defect


@dataclass(frozen=True)
class Overview:
    """What the answers say.

    Attributes:
        answers: number of answers.
        hasty: how many of them were given too soon.
        raters: what is known of each rater.
        ranking: the ranking, and whether to go on.
    """

    answers: int
    hasty: int
    raters: Sequence[RaterSummary]
    ranking: RankingSoFar


def compute_overview(
    questions: pa.Table,
    can_rank: NDArray[np.bool_],
    answers: Sequence[Answer],
    options: VoteOptions,
) -> Overview:
    """Compute what the answers say.

    Args:
        questions: N questions.
        can_rank: whether each may be asked, and its answers count for the ranking, (N,).
        answers: all answers.
        options: what is ranked, and when to stop.
    """
    comparisons = build_comparisons(questions, answers)
    return Overview(
        len(answers),
        sum(answer.problem is not None for answer in answers),
        summarize_raters(answers, questions),
        rank_so_far(
            comparisons, options, list_names(questions.filter(pa.array(can_rank)), options.by)
        ),
    )


def encode_comparisons(questions: pa.Table, answers: Sequence[Answer]) -> bytes:
    """Encode all answers as a Parquet file."""
    buffer = io.BytesIO()
    pq.write_table(build_comparisons(questions, answers), buffer, compression="zstd")
    return buffer.getvalue()


class Overviews:
    """The newest overview; one is computed at a time.

    Args:
        study: the study.
        processes: where it computes.
        writer: the thread of the study.
    """

    def __init__(self, study: Study, processes: Processes, writer: Writer) -> None:
        self._study, self._processes, self._writer = study, processes, writer
        self._newest: Overview | None = None
        self._task: asyncio.Task[None] | None = None

    async def read(self, seconds: float) -> Overview | None:
        """Return the newest overview.

        Args:
            seconds: how long to wait for one of all answers; then an older one has to do, or None.
        """
        is_new = self._newest is not None and self._newest.answers == self._study.answers
        if not is_new:
            if self._task is None or self._task.done():
                self._task = asyncio.create_task(self._compute())
            await asyncio.wait({self._task}, timeout=seconds)
        return self._newest

    async def _compute(self) -> None:
        try:
            answers = await self._writer.run(self._study.read_answers)
            questions = self._study.questions
            can_rank = questions.is_open & ~questions.is_gold
            can_rank[list(self._study.problems)] = False
            self._newest = await self._processes.run(
                compute_overview, questions.table, can_rank, answers, self._study.options
            )
        except Exception as error:
            log_defect("the overview of the operator", error)
