"""Stages that take time but no processor, in the place of those that decode and score.

Does not import torch, so that many processes of them start on few cores.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from roi_ray import schema
from roi_ray.io.allowlist import Allowlist
from roi_ray.pipeline.chunk import Chunk
from roi_ray.pipeline.decode_stage import DecodeLimits
from roi_ray.pipeline.kind import ROW, SHARD
from roi_ray.pipeline.plan import PAIR_IDS, ROWS
from roi_ray.pipeline.score_kind import RESULTS
from roi_ray.scoring.needs import chunk_images


@dataclass(frozen=True)
class ServiceTimes:
    """What a scoring actor takes.

    Attributes:
        prepare: seconds per reference.
        pair: seconds per pair.
    """

    prepare: float
    pair: float

    def pairs_per_s(self, per_reference: int) -> float:
        """Return the speed of an actor that never waits.

        Args:
            per_reference: pairs of each reference.

        Examples:
            >>> ServiceTimes(prepare=0.5, pair=0.25).pairs_per_s(2)
            2.0
        """
        return per_reference / (self.prepare + per_reference * self.pair)


def make_waiting_actor(times: ServiceTimes) -> Callable[..., Callable[[pa.Table], pa.Table]]:
    """Make a class that waits as long as `ScoringActor` would score, and gives zeros.

    It unpacks the pixels, as `ScoringActor` does, and prepares each reference once.
    """

    class WaitingActor:
        def __init__(self, **_: object) -> None:
            self._reference = ""

        def __call__(self, table: pa.Table) -> pa.Table:
            chunks = [Chunk.from_arrow(table.slice(row, 1)) for row in range(len(table))]
            for chunk in chunks:
                is_new = chunk.reference != self._reference
                self._reference = chunk.reference
                time.sleep(is_new * times.prepare + len(chunk.rows) * times.pair)
            return pa.concat_tables(_make_zeros(chunk) for chunk in chunks)

    return WaitingActor


def make_blank_decoder(height: int, width: int) -> Callable[..., Iterator[pa.Table]]:
    """Make a decode stage that reads no files: all images are black, and of one size.

    Its chunks are as large as those of `decode_work_items`.
    """

    def decode_nothing(
        items: pa.Table,
        base: str,
        allowlist: Allowlist,
        limits: DecodeLimits,
    ) -> Iterator[pa.Table]:
        count = chunk_images(height * width, 8, limits.chunk_bytes)
        black = np.zeros((height, width, 3), np.uint8)
        for item in items.to_pylist():
            for start in range(0, len(item[ROWS]), count):
                chunk = Chunk(item[SHARD], item[schema.REFERENCE], black)
                rows = zip(item[ROWS], item[PAIR_IDS], strict=True)
                for number, (row, pair_id) in enumerate(rows):
                    if start <= number < start + count:
                        chunk.add(row, pair_id, black)
                yield chunk.to_arrow()

    return decode_nothing


def _make_zeros(chunk: Chunk) -> pa.Table:
    """Make the results of a chunk: all scores are 0, and errors of the decode stage stay."""
    count = len(chunk.rows)
    columns: dict[str, Any] = {
        field.name: pa.nulls(count, field.type)
        if pa.types.is_string(field.type)
        else pa.array(np.zeros(count)).cast(field.type)
        for field in RESULTS
    }
    columns[SHARD] = pa.array([chunk.shard] * count, RESULTS.field(SHARD).type)
    columns[ROW] = pa.array(chunk.rows, RESULTS.field(ROW).type)
    columns[schema.ERROR_KIND] = [failure and failure.kind for failure in chunk.failures]
    columns[schema.ERROR] = [failure and failure.text for failure in chunk.failures]
    return pa.table([columns[name] for name in RESULTS.names], schema=RESULTS)
