"""The scoring stage: an actor that holds the models, chunks in, rows of scores out."""

from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from roi_ray import schema
from roi_ray.images import Pixels
from roi_ray.memory import keep_freed_memory, resident
from roi_ray.pipeline import logs, telemetry
from roi_ray.pipeline.decode import Chunk, describe
from roi_ray.pipeline.shards import SHARD
from roi_ray.schema import Scores
from roi_ray.scorer import Prepared, Scorer, Settings

ROW = "row"

RESULTS = pa.schema([pa.field(SHARD, pa.int32()), pa.field(ROW, pa.int64()), *schema.SCORES])
"""What leaves the stage: where a row belongs, and its scores or its error."""


class ScoringActor:
    """Loads the models once, then scores one chunk a call.

    Args:
        settings: what decides the numbers.
        device: see `Scorer`.
        batch: see `Scorer`.
        weights_dir: see `Scorer`.
        threads: CPU threads of this actor.
    """

    def __init__(
        self,
        settings: Settings,
        device: str,
        batch: int | None,
        weights_dir: str | None,
        threads: int,
    ) -> None:
        torch.set_num_threads(threads)
        keep_freed_memory()
        logs.in_worker()
        self._scorer = Scorer(settings, device, batch, weights_dir)
        # A reference whose images fill several chunks is still prepared once.
        self._last: tuple[str, Prepared] | None = None

    def __call__(self, table: pa.Table) -> pa.Table:
        """Score the chunk in a table of one row."""
        chunk = Chunk.from_arrow(table)
        good = [image for image in chunk.images if image is not None]
        scores: list[Scores | None]
        errors = chunk.errors
        try:
            scored = iter(self._score(chunk, good) if good else [])
            scores = [next(scored) if error is None else None for error in errors]
        except Exception as error:  # whatever it is, it costs these rows only
            scores = [None] * len(errors)
            text = describe(error, f"reference {chunk.reference.splitlines()[0]}")
            errors = [own or text for own in errors]
        rows = [
            _row(chunk.shard, *values) for values in zip(chunk.rows, scores, errors, strict=True)
        ]
        self._tell(chunk, [row[schema.ERROR] for row in rows])
        return pa.Table.from_pylist(rows, RESULTS)

    def _score(self, chunk: Chunk, images: list[Pixels]) -> list[Scores]:
        prepared = self._prepare(chunk)
        with telemetry.timed("score"):
            return self._scorer.score(prepared, images)

    def _prepare(self, chunk: Chunk) -> Prepared:
        if self._last is None or self._last[0] != chunk.reference:
            assert chunk.pixels is not None
            self._last = None  # lets go of the old one before there are two
            with telemetry.timed("prepare"):
                self._last = (chunk.reference, self._scorer.prepare(chunk.pixels, chunk.mask))
        return self._last[1]

    def _tell(self, chunk: Chunk, errors: list[str | None]) -> None:
        telemetry.pairs(errors)
        telemetry.memory(resident())
        # Those that were not decoded have been logged where they were not.
        new = [None if own else error for own, error in zip(chunk.errors, errors, strict=True)]
        logs.failures(chunk.shard, chunk.pair_ids, new)


def _row(shard: int, row: int, scores: Scores | None, error: str | None) -> dict[str, Any]:
    values = {} if scores is None else asdict(scores)
    if bad := [name for name, value in values.items() if not np.isfinite(value)]:
        values, error = {}, f"FloatingPointError: {', '.join(bad)} not finite"
    return {SHARD: shard, ROW: row, schema.ERROR: error, **values}
