"""What a run left, as a new manifest: the pairs that failed, and those that are missing.

The new manifest may lie anywhere, so its URIs are absolute; and it has the `pair_id` of every row,
so that its scores can be told to belong to the old ones.
"""

import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from roi_ray import schema
from roi_ray.errors import ManifestError, RoiRayError
from roi_ray.io import storage
from roi_ray.io.allowlist import build_allowlist
from roi_ray.io.columns import with_absolute_uris
from roi_ray.io.manifest import Manifest, read_manifest
from roi_ray.pipeline.plan import plans
from roi_ray.pipeline.shard_file import read_shard
from roi_ray.pipeline.status import Status, in_parallel

_ROWS_AT_ONCE = 100_000


@dataclass(frozen=True)
class RetryManifest:
    """A new manifest.

    Attributes:
        uri: where it is.
        rows: how many it has; of none nothing is written.
        allow: what `--allow-prefix` has to name when it is scored.
    """

    uri: str
    rows: int
    allow: tuple[str, ...]


def write_failed(status: Status, uri: str, manifest_uri: str | None = None) -> RetryManifest:
    """Write the manifest of the pairs that failed; it needs the output alone.

    Args:
        status: of the run.
        uri: a `.parquet` file.
        manifest_uri: where the run's manifest is, if not where it was: relative URIs in it are
            relative to that.

    Raises:
        ManifestError: it may not be written there, nobody knows what its URIs are relative to, or
            `manifest_uri` is another manifest.
    """
    manifest = None if manifest_uri is None else _manifest(status, manifest_uri)
    base = manifest.base if manifest else _place(status, "base")
    failed = in_parallel(_failed_of, status.failed_shards)
    return _write(status, uri, base, manifest.uri if manifest else None, failed)


def write_missing(status: Status, uri: str, manifest_uri: str | None = None) -> RetryManifest:
    """Write the manifest of the pairs that are not in the output; it needs the run's manifest.

    Args:
        status: of the run.
        uri: a `.parquet` file.
        manifest_uri: where the run's manifest is, if not where it was.

    Raises:
        ManifestError: it may not be written there, or the manifest is gone or has changed.
    """
    try:
        manifest = _manifest(status, manifest_uri or _place(status, "uri"))
    except RoiRayError as error:
        raise ManifestError(
            f"which pairs are missing is known from the run's manifest alone: {error}; if it was "
            "moved, say with --manifest where it is"
        ) from error
    return _write(status, uri, manifest.base, manifest.uri, _missing(status, manifest))


def _manifest(status: Status, uri: str) -> Manifest:
    there = status.run["config"]["manifest"]
    manifest = read_manifest(uri, there["rows"])
    if manifest.sha256 != there["sha256"]:
        raise ManifestError(f"{uri} is not the manifest of this run, or its rows have changed")
    return manifest


def _place(status: Status, name: str) -> str:
    place = status.run.get("manifest", {}).get(name)
    if not place:
        raise ManifestError(
            f"{status.output} does not say where its manifest was; say it with --manifest"
        )
    return str(place)


def _failed_of(file: str) -> pa.Table:
    table = read_shard(file)
    return table.filter(pc.is_valid(table[schema.ERROR])).drop_columns(schema.SCORES.names)


def _missing(status: Status, manifest: Manifest) -> Iterator[pa.Table]:
    for part, shards in plans(manifest.parts(), status.run["config"]["shard_size"]):
        left = [rows for shard, rows in shards.items() if status.shards.get(shard) != len(rows)]
        if left:
            yield part.take(np.concatenate(left))


def _write(
    status: Status, uri: str, base: str, moved_to: str | None, tables: Iterator[pa.Table]
) -> RetryManifest:
    uri = storage.absolute(uri)
    folder, manifests = storage.parent(uri), {status.run.get("manifest", {}).get("uri"), moved_to}
    if not uri.endswith(".parquet"):
        raise ManifestError(f"{uri} does not end in .parquet")
    if build_allowlist(status.output).allows(uri):
        raise ManifestError(f"{uri} is in the output, whose readers would take it for scores")
    if uri in manifests or folder in manifests:
        raise ManifestError(f"{uri} would change the run's own manifest")
    rows = 0
    with tempfile.TemporaryDirectory(prefix="roi-ray-rest-") as here:
        # Written here first: then it is there whole or not at all, and never all in memory.
        file = os.path.join(here, "rest.parquet")
        writer: pq.ParquetWriter | None = None
        for table in map(partial(_absolute, base=base), _gathered(tables)):
            writer = writer or pq.ParquetWriter(file, table.schema, compression="zstd")
            writer.write_table(table)
            rows += len(table)
        if writer is not None:
            writer.close()
            with pa.memory_map(file) as mapped:
                storage.write_bytes(uri, mapped.read_buffer())
    allowed = dict.fromkeys([base, *status.run["config"].get("allow", [])])
    below = build_allowlist(folder)
    return RetryManifest(uri, rows, tuple(prefix for prefix in allowed if not below.allows(prefix)))


def _gathered(tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """Small tables put together: each becomes a row group."""
    waiting: list[pa.Table] = []
    rows = 0
    for table in tables:
        waiting.append(table)
        rows += len(table)
        if rows >= _ROWS_AT_ONCE:
            yield pa.concat_tables(waiting)
            waiting, rows = [], 0
    if rows:
        yield pa.concat_tables(waiting)


def _absolute(table: pa.Table, base: str) -> pa.Table:
    """The table with absolute URIs, and without what its file said of scores."""
    table = with_absolute_uris(table, (*schema.URIS, schema.MASK), base)
    return table.replace_schema_metadata(None)
