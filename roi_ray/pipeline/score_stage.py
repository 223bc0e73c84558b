"""The score stage: an actor that holds the models; chunks of pixels in, rows of scores out."""

import socket
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from typing import Any

import pyarrow as pa
import torch

from roi_ray import schema
from roi_ray.errors import RoiRayError, WeightsError
from roi_ray.models.networks import Provenance
from roi_ray.pipeline.chunk import Chunk
from roi_ray.pipeline.kind import RETRIED_KINDS, ROW, SHARD
from roi_ray.pipeline.score_kind import FATAL_ERRORS, RESULTS
from roi_ray.runtime import logs, telemetry
from roi_ray.runtime.available import exclusive_memory
from roi_ray.runtime.memory import keep_freed_memory, read_resident_memory
from roi_ray.schema import Failure, Scores
from roi_ray.scoring.needs import scoring_need
from roi_ray.scoring.outcome import check_finite
from roi_ray.scoring.prepared import Prepared
from roi_ray.scoring.scorer import Scorer
from roi_ray.settings import Settings


class ScoringActor:
    """Actor that loads the models once, then scores some chunks per call.

    An actor that cannot load its models fails its rows with the error's kind, and the driver then
    stops the job. If the constructor raised the error, the driver would get its message only.

    Args:
        settings: settings that decide the numbers.
        device: see `Scorer`.
        batch: see `Scorer`.
        weights_dir: see `Scorer`.
        threads: CPU threads of this process, which is then set up for scoring alone; None leaves
            the process as it is.
        weights: the weights that the job has recorded; None accepts any.
        allow_slow_precision: see `Scorer`.
        planned_pixels: largest number of pixels for which memory is planned; larger images are
            scored one at a time on each machine, if there is memory for them. None for any.
    """

    def __init__(
        self,
        settings: Settings,
        device: str,
        batch: int | None,
        weights_dir: str | None,
        threads: int | None,
        weights: Provenance | None = None,
        allow_slow_precision: bool = False,
        planned_pixels: int | None = None,
    ) -> None:
        if threads is not None:
            torch.set_num_threads(threads)
            keep_freed_memory()
        logs.log_to_ray_file()
        self._lpips, self._planned_pixels = settings.lpips, planned_pixels
        # A reference whose images fill several chunks is prepared once.
        self._prepared: dict[str, Prepared] = {}
        self._startup_failure: Failure | None = None
        try:
            self._scorer = _load_scorer(
                settings, device, batch, weights_dir, weights, allow_slow_precision
            )
        except FATAL_ERRORS as error:
            self._startup_failure = Failure.from_exception(error, "a scoring actor cannot start")

    def __call__(self, table: pa.Table) -> pa.Table:
        """Score the chunks in a table, one chunk per row; those of one size together."""
        chunks = [Chunk.from_arrow(table.slice(row, 1)) for row in range(len(table))]
        if self._startup_failure is not None:
            return pa.concat_tables(
                _to_table(chunk, [self._startup_failure] * len(chunk.rows)) for chunk in chunks
            )
        by_size: dict[tuple[int, ...], list[Chunk]] = {}
        for chunk in chunks:
            shape = () if chunk.pixels is None else chunk.pixels.shape
            by_size.setdefault(shape, []).append(chunk)
        return pa.concat_tables(
            table for group in by_size.values() for table in self._score_group(group)
        )

    def _score_group(self, chunks: list[Chunk]) -> Iterator[pa.Table]:
        """Score chunks of one size; where that fails, each chunk alone."""
        try:
            scores = self._score(chunks)
        except Exception as error:  # any error fails only the rows of its chunk
            failure = Failure.from_exception(error, f"reference {_first_line(chunks[0].reference)}")
        else:
            for chunk in chunks:
                yield self._report(
                    chunk, [next(scores) if f is None else f for f in chunk.failures]
                )
            return
        # Outside of the except clause, because the exception keeps device memory alive.
        if len(chunks) > 1:
            for chunk in chunks:
                yield from self._score_group([chunk])
            return
        (chunk,) = chunks
        yield self._report(chunk, [f or failure for f in chunk.failures])

    def _score(self, chunks: list[Chunk]) -> Iterator[Scores]:
        """Score all images of the chunks, in order."""
        readable = [chunk for chunk in chunks if None in chunk.failures]
        if not readable:
            return iter(())
        with self._reserve_memory(readable):
            references = self._prepare(readable)
            pairs = [
                (references[chunk.reference], image)
                for chunk in readable
                for image in chunk.images
                if image is not None
            ]
            with telemetry.time_stage("score"):
                return iter(self._scorer.score_pairs(pairs))

    def _reserve_memory(self, chunks: Sequence[Chunk]) -> AbstractContextManager[None]:
        """Wait for the turn of images that are larger than planned, and check their need."""
        height, width = next(c.pixels.shape[:2] for c in chunks if c.pixels is not None)
        if self._planned_pixels is None or height * width <= self._planned_pixels:
            return nullcontext()
        self._prepared.clear()
        images = sum(image is not None for chunk in chunks for image in chunk.images)
        need = scoring_need(height * width, images, self._lpips, self._scorer.device.type)
        return exclusive_memory(need, f"scoring {width} x {height}")

    def _prepare(self, chunks: list[Chunk]) -> dict[str, Prepared]:
        """Prepare the references of the chunks, by name; reuse those prepared before."""
        needed = {chunk.reference: chunk for chunk in chunks}
        # Frees the memory of the other references before new ones are prepared.
        self._prepared = {name: p for name, p in self._prepared.items() if name in needed}
        if new := [chunk for name, chunk in needed.items() if name not in self._prepared]:
            pixels = [chunk.pixels for chunk in new if chunk.pixels is not None]
            with telemetry.time_stage("prepare"):
                prepared = self._scorer.prepare_all(pixels, [chunk.mask for chunk in new])
            self._prepared |= zip((chunk.reference for chunk in new), prepared, strict=True)
        return self._prepared

    def _report(self, chunk: Chunk, outcomes: Sequence[Scores | Failure]) -> pa.Table:
        """Make the rows of a chunk; count its pairs and log its new failures."""
        table = _to_table(chunk, outcomes)
        kinds = table[schema.ERROR_KIND].to_pylist()
        # The committer counts pairs that are retried, if they fail again.
        telemetry.count_pairs(kind for kind in kinds if kind not in RETRIED_KINDS)
        telemetry.record_actor_memory(read_resident_memory())
        # The decode stage has logged the failures that it found.
        new = [
            Failure(kind, text) if kind is not None and earlier is None else None
            for kind, text, earlier in zip(
                kinds, table[schema.ERROR].to_pylist(), chunk.failures, strict=True
            )
        ]
        logs.log_failures(chunk.shard, chunk.pair_ids, new)
        return table


def _load_scorer(
    settings: Settings,
    device: str,
    batch: int | None,
    weights_dir: str | None,
    weights: Provenance | None,
    allow_slow_precision: bool,
) -> Scorer:
    try:
        scorer = Scorer(
            settings, device, batch, weights_dir, allow_slow_precision=allow_slow_precision
        )
    except FATAL_ERRORS:
        raise
    except RoiRayError as error:  # such as a storage that does not answer
        raise WeightsError(str(error)) from error
    if weights is not None and scorer.provenance != weights:
        raise WeightsError(
            f"the weights on {socket.gethostname()} are {scorer.provenance}, but those of this job "
            f"are {weights}"
        )
    return scorer


def _to_table(chunk: Chunk, outcomes: Sequence[Scores | Failure]) -> pa.Table:
    rows = [_to_row(outcome) for outcome in outcomes]
    places = [{SHARD: chunk.shard, ROW: row} for row in chunk.rows]
    return pa.Table.from_pylist(
        [place | row for place, row in zip(places, rows, strict=True)], RESULTS
    )


def _to_row(outcome: Scores | Failure) -> dict[str, Any]:
    if isinstance(outcome, Scores):
        outcome = check_finite(outcome)
    if isinstance(outcome, Scores):
        return asdict(outcome)
    return {schema.ERROR_KIND: outcome.kind, schema.ERROR: outcome.text}


def _first_line(text: str) -> str:
    return text.split("\n", 1)[0]
