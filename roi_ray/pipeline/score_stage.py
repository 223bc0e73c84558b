"""The scoring stage: an actor that holds the models; chunks in, rows of scores out."""

import socket
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from roi_ray import schema
from roi_ray.errors import StorageUnavailable, WeightsError, kind_of
from roi_ray.models.networks import Provenance
from roi_ray.pipeline.decode_stage import Chunk, describe
from roi_ray.pipeline.plan import SHARD
from roi_ray.runtime import logs, telemetry
from roi_ray.runtime.memory import keep_freed_memory, read_resident_memory
from roi_ray.schema import Scores
from roi_ray.scoring.prepared import Prepared
from roi_ray.scoring.scorer import Scorer
from roi_ray.settings import Settings

ROW = "row"

RESULTS = pa.schema([pa.field(SHARD, pa.int32()), pa.field(ROW, pa.int64()), *schema.SCORES])
"""What leaves the stage: where a row belongs, and its scores or its error."""


class ScoringActor:
    """Loads the models once, then scores some chunks a call.

    Args:
        settings: what decides the numbers.
        device: see `Scorer`.
        batch: see `Scorer`.
        weights_dir: see `Scorer`.
        threads: CPU threads of this actor.
        weights: the job's, as `Networks` has them in `provenance`; None for whatever is found.

    Raises:
        WeightsError: they cannot be had here, or are others.
    """

    def __init__(
        self,
        settings: Settings,
        device: str,
        batch: int | None,
        weights_dir: str | None,
        threads: int,
        weights: Provenance | None = None,
    ) -> None:
        torch.set_num_threads(threads)
        keep_freed_memory()
        logs.log_to_ray_file()
        self._scorer = Scorer(settings, device, batch, weights_dir)
        if weights is not None and self._scorer.provenance != weights:
            raise WeightsError(
                f"the weights on {socket.gethostname()} are {self._scorer.provenance}, those of "
                f"this job {weights}"
            )
        # A reference whose images fill several chunks is still prepared once.
        self._last: dict[str, Prepared] = {}

    def __call__(self, table: pa.Table) -> pa.Table:
        """Score the chunks in a table, one a row; those of one size together."""
        chunks = [Chunk.from_arrow(table.slice(row, 1)) for row in range(len(table))]
        by_size: dict[tuple[int, ...], list[Chunk]] = {}
        for chunk in chunks:
            shape = () if chunk.pixels is None else chunk.pixels.shape
            by_size.setdefault(shape, []).append(chunk)
        return pa.concat_tables(
            table for same in by_size.values() for table in self._score_or_say_why(same)
        )

    def _score_or_say_why(self, chunks: list[Chunk]) -> Iterator[pa.Table]:
        try:
            scored = self._score(chunks)
        except Exception as error:  # whatever it is, it costs the rows of its chunk only
            failed = describe(error, f"reference {chunks[0].reference.splitlines()[0]}")
        else:
            for chunk in chunks:
                scores = [next(scored) if error is None else None for error in chunk.errors]
                yield self._table(chunk, scores, chunk.errors)
            return
        # Out here, where the error no longer holds on to what was on the device when it was raised.
        if len(chunks) > 1:
            for chunk in chunks:
                yield from self._score_or_say_why([chunk])
            return
        (chunk,) = chunks
        yield self._table(chunk, [None] * len(chunk.rows), [own or failed for own in chunk.errors])

    def _score(self, chunks: list[Chunk]) -> Iterator[Scores]:
        good = [chunk for chunk in chunks if any(error is None for error in chunk.errors)]
        if not good:
            return iter(())
        references = self._prepare(good)
        pairs = [
            (references[chunk.reference], image)
            for chunk in good
            for image in chunk.images
            if image is not None
        ]
        with telemetry.time_stage("score"):
            return iter(self._scorer.score_pairs(pairs))

    def _prepare(self, chunks: list[Chunk]) -> dict[str, Prepared]:
        wanted = {chunk.reference: chunk for chunk in chunks}
        # Lets go of the others before there are more.
        self._last = {name: self._last[name] for name in wanted if name in self._last}
        if new := [chunk for name, chunk in wanted.items() if name not in self._last]:
            pixels = [chunk.pixels for chunk in new if chunk.pixels is not None]
            with telemetry.time_stage("prepare"):
                made = self._scorer.prepare_all(pixels, [chunk.mask for chunk in new])
            self._last |= zip((chunk.reference for chunk in new), made, strict=True)
        return self._last

    def _table(
        self, chunk: Chunk, scores: Sequence[Scores | None], errors: Sequence[str | None]
    ) -> pa.Table:
        rows = [
            _row(chunk.shard, *values) for values in zip(chunk.rows, scores, errors, strict=True)
        ]
        self._tell(chunk, [row[schema.ERROR] for row in rows])
        return pa.Table.from_pylist(rows, RESULTS)

    def _tell(self, chunk: Chunk, errors: Sequence[str | None]) -> None:
        # What S3 would not give is tried once more; see `Committer`.
        passing = StorageUnavailable.__name__
        telemetry.count_pairs(
            error for error in errors if error is None or kind_of(error) != passing
        )
        telemetry.record_actor_memory(read_resident_memory())
        # Those that were not decoded have been logged where they were not.
        new = [None if own else error for own, error in zip(chunk.errors, errors, strict=True)]
        logs.log_failures(chunk.shard, chunk.pair_ids, new)


def _row(shard: int, row: int, scores: Scores | None, error: str | None) -> dict[str, Any]:
    values = {} if scores is None else asdict(scores)
    if bad := [name for name, value in values.items() if not np.isfinite(value)]:
        values, error = {}, f"FloatingPointError: {', '.join(bad)} not finite"
    return {SHARD: shard, ROW: row, schema.ERROR: error, **values}
