"""Write new manifests of the pairs that failed in a run, or that its output lacks.

A new manifest may lie anywhere, so its URIs are absolute. It keeps the `pair_id` of every row, so
that its scores can be joined with the old ones.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from roi_ray import schema
from roi_ray.errors import ManifestError, RoiRayError, UsageError
from roi_ray.io import storage
from roi_ray.io.allowlist import build_allowlist
from roi_ray.io.columns import with_absolute_uris
from roi_ray.io.manifest import Manifest, read_manifest
from roi_ray.io.parquet_files import write_tables
from roi_ray.pipeline.history import allowed_prefixes, earlier_shards
from roi_ray.pipeline.plan import plan_parts
from roi_ray.pipeline.shard_file import (
    map_in_threads,
    read_manifest_rows,
    read_shard,
    shard_name,
)
from roi_ray.pipeline.status import Status
from roi_ray.pipeline.stored_rows import StoredRows


@dataclass(frozen=True)
class RetryManifest:
    """A new manifest of pairs to score again.

    Attributes:
        uri: URI of the file.
        rows: number of pairs; if it is 0, no file is written.
        allow_prefixes: folders to name with `--allow-prefix` when it is scored.
    """

    uri: str
    rows: int
    allow_prefixes: tuple[str, ...]


def write_failed(status: Status, uri: str, manifest_uri: str | None = None) -> RetryManifest:
    """Write a manifest of the pairs that failed in this run. It is made from the output alone.

    Pairs whose error was in the run's manifest are left out, as scoring cannot help them.

    Args:
        status: status of the run.
        uri: the `.parquet` file to write.
        manifest_uri: URI of the run's manifest if it was moved; relative URIs start from its
            folder.

    Raises:
        UsageError: the file may not be written there.
        ManifestError: the folder of the run's manifest is not recorded, or `manifest_uri` is
            another manifest.
    """
    manifest = None if manifest_uri is None else _read_run_manifest(status, manifest_uri)
    base = manifest.base if manifest else _read_location(status, "base")
    failed = map_in_threads(_read_failed_rows, status.failed_shards)
    return _write(status, uri, base, manifest.uri if manifest else None, failed)


def write_missing(status: Status, uri: str, manifest_uri: str | None = None) -> RetryManifest:
    """Write a manifest of the pairs that are not in the output. It needs the run's manifest.

    Args:
        status: status of the run.
        uri: the `.parquet` file to write.
        manifest_uri: URI of the run's manifest if it was moved.

    Raises:
        UsageError: the file may not be written there.
        ManifestError: the run's manifest is missing or has changed.
    """
    try:
        manifest = _read_run_manifest(status, manifest_uri or _read_location(status, "uri"))
    except RoiRayError as error:
        raise ManifestError(
            f"only the run's manifest tells which pairs are missing: {error}; if it was moved, "
            "name it with --manifest"
        ) from error
    return _write(status, uri, manifest.base, manifest.uri, _select_missing_rows(status, manifest))


def _read_run_manifest(status: Status, uri: str) -> Manifest:
    recorded = status.run["config"]["manifest"]
    manifest = read_manifest(uri, recorded["rows"])
    if manifest.sha256 != recorded["sha256"]:
        raise ManifestError(f"{uri} is not the manifest of this run, or its rows have changed")
    return manifest


def _read_location(status: Status, name: str) -> str:
    location = status.run.get("manifest", {}).get(name)
    if not location:
        raise ManifestError(
            f"{status.output} does not record where its manifest was; name it with --manifest"
        )
    return str(location)


def _read_failed_rows(file: str) -> pa.Table:
    """Read the rows that failed in this run, and not in a step before it."""
    has_failed = read_shard(file, [schema.ERROR])[schema.ERROR].is_valid()
    rows = read_manifest_rows(file)
    failed = rows.filter(pc.and_(has_failed, rows[schema.ERROR].is_null()))
    return failed.drop_columns(schema.ERRORS)


def _select_missing_rows(status: Status, manifest: Manifest) -> Iterator[pa.Table]:
    if status.shards and earlier_shards(status.run):
        files = [storage.join(status.output, shard_name(shard)) for shard in status.shards]
        stored = StoredRows(files)
        for rows in manifest.parts():
            yield rows.filter(pa.array(stored.locate(rows) < 0))
        return
    for part, shards in plan_parts(manifest.parts(), status.run["config"]["shard_size"]):
        missing = [rows for shard, rows in shards.items() if status.shards.get(shard) != len(rows)]
        if missing:
            yield part.take(np.concatenate(missing))


def _write(
    status: Status, uri: str, base: str, moved_to: str | None, tables: Iterator[pa.Table]
) -> RetryManifest:
    uri = storage.absolute(uri)
    folder, manifests = storage.parent(uri), {status.run.get("manifest", {}).get("uri"), moved_to}
    if not uri.endswith(".parquet"):
        raise UsageError(f"{uri} does not end in .parquet")
    if build_allowlist(status.output).allows(uri):
        raise UsageError(f"{uri} is inside the output, where readers would take it for scores")
    if uri in manifests or folder in manifests:
        raise UsageError(f"{uri} would overwrite the run's own manifest, or add to it")
    # The metadata of the scores is dropped.
    rows = write_tables(
        uri, (with_absolute_uris(table, (*schema.URIS, schema.MASK), base) for table in tables)
    )
    allowed = dict.fromkeys([base, *allowed_prefixes(status.run)])
    default = build_allowlist(folder)
    return RetryManifest(uri, rows, tuple(p for p in allowed if not default.allows(p)))
