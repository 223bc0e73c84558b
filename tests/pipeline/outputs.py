"""Outputs with made-up scores, for tests of code that reads or writes outputs."""

from collections.abc import Collection
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from roi_ray import schema
from roi_ray.io.manifest import read_manifest
from roi_ray.pipeline.output import Output
from roi_ray.pipeline.plan import plan_parts
from roi_ray.pipeline.run_record import describe_run
from roi_ray.pipeline.score_kind import make_score_kind
from roi_ray.schema import Failure

ERRORS = [
    Failure("ImageReadError", "b.png: gone"),
    Failure("SizeMismatch", "c.png: 3 x 4"),
    Failure("ImageReadError", "d.png: cut"),
]


def write_manifest(folder: Path, rows: int = 10, **columns: list) -> str:
    """Write a manifest with two images per reference; return its path."""
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
    allow_prefixes: tuple[str, ...] = (),
) -> str:
    """Write some shards of an output, with errors for some images; return its URI."""
    manifest = read_manifest(manifest_uri)
    config = {
        "manifest": {"rows": manifest.rows, "sha256": manifest.sha256},
        "shard_size": shard_size,
        "allow_prefixes": list(allow_prefixes),
    }
    location = {"given": manifest_uri, "uri": manifest.uri, "base": manifest.base}
    kind = make_score_kind()
    output = Output(uri, describe_run(kind, config, location), kind)
    with output.lock() as writer:
        for rows, plan in plan_parts(manifest.parts(), shard_size):
            for shard in plan.keys() & set(shards):
                selected = rows.take(plan[shard])
                writer.commit(shard, selected, _scores(selected["distorted"].to_pylist(), failed))
    return output.uri


def _scores(distorted: list[str], failed: Collection[str]) -> pa.Table:
    numbers = {uri: number for number, uri in enumerate(failed)}
    failures = [ERRORS[numbers[uri] % len(ERRORS)] if uri in numbers else None for uri in distorted]
    columns = {
        field.name: pa.array([None if failure else 1 for failure in failures], field.type)
        for field in schema.make_scores_schema()
        if field.name not in (schema.ERROR_KIND, schema.ERROR)
    }
    errors = {
        schema.ERROR_KIND: [failure and failure.kind for failure in failures],
        schema.ERROR: [failure and failure.text for failure in failures],
    }
    return pa.table({**columns, **errors}, schema=schema.make_scores_schema())
