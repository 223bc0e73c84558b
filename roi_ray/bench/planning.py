"""What a manifest of millions of rows costs the driver: the whole job with nothing to score."""

import resource
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from roi_ray import schema
from roi_ray.io.manifest import read_manifest
from roi_ray.pipeline.options import Options
from roi_ray.pipeline.plan import ROWS, SHARD
from roi_ray.pipeline.run import Stages, score_manifest
from roi_ray.pipeline.score_stage import RESULTS, ROW

_PER_REFERENCE = 100
_SHARD_ROWS = 1 << 14
_PIECE = 1 << 20


@dataclass(frozen=True)
class Planning:
    """What the driver needed.

    Attributes:
        rows: of the manifest.
        reading: seconds to read, check and spread them.
        seconds: of the whole job, reading included.
        memory: MiB that this process was largest.
    """

    rows: int
    reading: float
    seconds: float
    memory: float


def plan_many(rows: int, folder: Path) -> Planning:
    """Run the job on that many rows, with stages that read and score nothing.

    Peak memory is of the whole process: run it in one of its own.
    """
    folder.mkdir(parents=True, exist_ok=True)
    manifest = folder / "manifest.parquet"
    _write(manifest, rows)
    started = time.monotonic()
    read_manifest(str(manifest))
    reading = time.monotonic() - started
    summary = score_manifest(
        str(manifest),
        str(folder / "scores"),
        options=Options(shard_size=_SHARD_ROWS, device="cpu"),
        stages=Stages(_pass_on, _Nothing),
    )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Planning(summary.rows, reading, summary.seconds, peak)


def _write(file: Path, rows: int) -> None:
    """A sweep by codec setting, so that the pairs of a reference lie as far apart as they can."""
    references = max(1, rows // _PER_REFERENCE)
    writer = None
    for start in range(0, rows, _PIECE):
        number = np.arange(start, min(start + _PIECE, rows))
        names = [f"{index % references:09}/{index // references:03}" for index in number.tolist()]
        table = pa.table(
            {
                schema.REFERENCE: [f"s3://bucket/originals/{name[:9]}.png" for name in names],
                schema.DISTORTED: [f"s3://bucket/decoded/{name}.jpg" for name in names],
                schema.QUALITY: number // references,
            }
        )
        writer = writer or pq.ParquetWriter(file, table.schema)
        writer.write_table(table)
    if writer is not None:
        writer.close()


def _pass_on(items: pa.Table, **_: object) -> Iterator[pa.Table]:
    yield items


class _Nothing:
    """In the place of the scoring actor: all scores are 0."""

    def __init__(self, **_: object) -> None:
        pass

    def __call__(self, items: pa.Table) -> pa.Table:
        rows = items[ROWS].combine_chunks()
        count = len(rows.values)
        shard = items[SHARD].combine_chunks().take(rows.value_parent_indices())
        names = [name for name in schema.SCORES.names if name != schema.ERROR]
        scores = dict.fromkeys(names, np.zeros(count))
        error = {schema.ERROR: pa.nulls(count, pa.string())}
        return pa.table({SHARD: shard, ROW: rows.flatten(), **scores, **error}).cast(RESULTS)
