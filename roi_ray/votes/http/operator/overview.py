"""What the operator sees of the answers, computed in another process, and once per answer."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from roi_ray.preference.comparisons.table import encode_comparisons
from roi_ray.votes.asking.stopping import RankingSoFar, rank_so_far
from roi_ray.votes.asking.subjects import list_names
from roi_ray.votes.http.operator.packed_answers import AnswerPacker, unpack_answers
from roi_ray.votes.http.worker_pool import WorkerPool
from roi_ray.votes.http.writer import Writer
from roi_ray.votes.options import VoteOptions
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
    parts: Sequence[bytes],
    options: VoteOptions,
) -> Overview:
    """Compute what the answers say.

    Args:
        questions: N questions.
        can_rank: whether each may be asked, and its answers count for the ranking, (N,).
        parts: all answers, see `AnswerPacker`.
        options: what is ranked, and when to stop.
    """
    answers = unpack_answers(parts)
    comparisons = build_comparisons(questions, answers)
    return Overview(
        len(answers),
        sum(answer.problem is not None for answer in answers),
        summarize_raters(answers, questions),
        rank_so_far(
            comparisons, options, list_names(questions.filter(pa.array(can_rank)), options.by)
        ),
    )


def encode_answers(questions: pa.Table, parts: Sequence[bytes]) -> bytes:
    """Encode all answers, which are packed, as a Parquet file."""
    return encode_comparisons(build_comparisons(questions, unpack_answers(parts)))


class Overviews:
    """What the operator gets of all answers: the newest overview, and the table.

    Args:
        study: the study.
        pool: where it computes; one overview at a time.
        writer: the thread of the study.
    """

    def __init__(self, study: Study, pool: WorkerPool, writer: Writer) -> None:
        self._study, self._pool, self._writer = study, pool, writer
        self._packer = AnswerPacker()
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

    async def encode(self) -> bytes:
        """Return all answers as a Parquet file of comparisons."""
        parts = await self._pack()
        return await self._pool.run(encode_answers, self._study.questions.table, parts)

    async def _pack(self) -> list[bytes]:
        answers = await self._writer.run(self._study.read_answers)
        return await asyncio.to_thread(self._packer.pack, answers)

    async def _compute(self) -> None:
        try:
            parts = await self._pack()
            questions = self._study.questions
            can_rank = questions.is_open & ~questions.is_gold
            can_rank[list(self._study.problems)] = False
            self._newest = await self._pool.run(
                compute_overview, questions.table, can_rank, parts, self._study.options
            )
        except Exception as error:
            log_defect("the overview of the operator", error)
