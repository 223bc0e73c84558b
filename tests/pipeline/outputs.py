"""Outputs of runs that nothing was scored for, to look at."""

from collections.abc import Collection
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from roi_ray import schema
from roi_ray.io.manifest import read_manifest
from roi_ray.pipeline.output import Output
from roi_ray.pipeline.plan import plans

ERRORS = ["ImageReadError: b.png: gone", "SizeMismatch: c.png: 3 x 4", "ImageReadError: d.png: cut"]


def write_manifest(folder: Path, rows: int = 10, **columns: list) -> str:
    """A manifest of two images a reference."""
    folder.mkdir(parents=True, exist_ok=True)
    table = {
        "reference": [f"x/{row // 2}.png" for row in range(rows)],
        "distorted": [f"y/{row}.jpg" for row in range(rows)],
        "codec": ["jpeg"] * rows,
        **columns,
    }
    pq.write_table(pa.table(table), folder / "m.parquet")
    return str(folder / "m.parquet")


def write_output(
    uri: str,
    manifest_uri: str,
    shards: Collection[int],
    failed: Collection[str] = (),
    shard_size: int = 2,
    allow: tuple[str, ...] = (),
) -> str:
    """An output with some of its shards, and errors for some distorted images."""
    manifest = read_manifest(manifest_uri)
    config = {
        "manifest": {"rows": manifest.rows, "sha256": manifest.sha256},
        "shard_size": shard_size,
        "allow": list(allow),
    }
    places = {"given": manifest_uri, "uri": manifest.uri, "base": manifest.base}
    output = Output(uri, config, places)
    names = list(failed)
    with output.held():
        for table, part in plans(manifest.parts(), shard_size):
            for shard in part.keys() & set(shards):
                some = table.take(part[shard])
                errors = [
                    ERRORS[names.index(uri) % len(ERRORS)] if uri in names else None
                    for uri in some["distorted"].to_pylist()
                ]
                output.commit(shard, some, _scores(errors))
    return output.uri


def _scores(errors: list[str | None]) -> pa.Table:
    columns = {
        field.name: pa.array([None if error else 1 for error in errors], field.type)
        for field in schema.SCORES
        if field.name != schema.ERROR
    }
    return pa.table({**columns, schema.ERROR: errors}, schema=schema.SCORES)
