"""A folder of scores: one Parquet file a shard, and what is needed to say how they were made.

    OUTPUT/shard-000000.parquet   the scores; together one data set
    OUTPUT/_run/run.json          versions, settings, weights, columns
    OUTPUT/_run/lease.json        who is writing, while it is
    OUTPUT/_run/torn/             files that stood where a shard belongs and were not one

Readers of Parquet data sets pass over names that begin with an underscore.
"""

import io
import json
import platform
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch

import roi_ray
from roi_ray import schema, storage
from roi_ray.errors import OutputError
from roi_ray.pipeline.lease import Lease
from roi_ray.pipeline.shards import Rows

Config = dict[str, Any]

_RUN = "_run"
RUN_JSON = (_RUN, "run.json")
"""Below the output: versions, settings, weights, columns."""

_METADATA_KEY = b"roi_ray"


class Output:
    """The output of one run; or of several, if one was interrupted and started again.

    Args:
        uri: folder, local or on S3.
        config: what makes two runs the same run. Machines, actors and batches are not part of it.

    Raises:
        OutputError: the folder belongs to a run of another configuration.
    """

    def __init__(self, uri: str, config: Config) -> None:
        self.uri = storage.absolute(uri)
        self._config = config
        self._torn: list[str] = []
        self._lease: Lease | None = None
        self._run_json = storage.join(self.uri, *RUN_JSON)
        provenance = {"roi_ray": roi_ray.__version__, "config": config, "columns": _columns()}
        self._metadata = {_METADATA_KEY: json.dumps(provenance, sort_keys=True).encode()}
        if storage.is_file(self._run_json):
            self._check_same(json.loads(storage.read_bytes(self._run_json))["config"])
        elif storage.list_files(self.uri):
            raise OutputError(
                f"{self.uri} holds files but no {_RUN}/run.json: it is not an output of this job; "
                "name an empty or new folder"
            )
        else:
            versions = {
                "python": platform.python_version(),
                "torch": torch.__version__,
                "pyarrow": pa.__version__,
            }
            run = {**provenance, "versions": versions}
            storage.write_bytes(self._run_json, (json.dumps(run, indent=2) + "\n").encode())

    def shard_uri(self, shard: int) -> str:
        """Where a shard's file is."""
        return storage.join(self.uri, f"shard-{shard:06}.parquet")

    def done(self, plan: Mapping[int, Rows]) -> dict[int, int]:
        """Those of the shards that are complete, and how many of their rows failed.

        Raises:
            StorageError: it cannot be found out.
        """
        present = set(storage.list_files(self.uri))
        names = {self.shard_uri(shard).split("/")[-1]: shard for shard in plan}
        candidates = [(shard, name) for name, shard in names.items() if name in present]
        with ThreadPoolExecutor(16) as readers:
            failures = readers.map(lambda c: self._failed(c[0], len(plan[c[0]])), candidates)
            done = {}
            for (shard, name), failed in zip(candidates, failures, strict=True):
                if failed is None:
                    self._torn.append(name)
                else:
                    done[shard] = failed
        return done

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other jobs from writing here meanwhile.

        Raises:
            OutputError: another job is writing here already.
        """
        with Lease(storage.join(self.uri, _RUN, "lease.json")) as self._lease:
            yield

    def set_torn_aside(self) -> None:
        """Move files that `done` found in a shard's place, but not that shard, to `_run/torn/`."""
        while self._torn:
            name = self._torn.pop()
            storage.move(storage.join(self.uri, name), storage.join(self.uri, _RUN, "torn", name))

    def commit(self, shard: int, manifest_rows: pa.Table, scores: pa.Table) -> int:
        """Write a shard's file, whole or not at all; returns how many of its rows failed.

        Args:
            shard: its number.
            manifest_rows: the manifest's columns.
            scores: the columns of `schema.SCORES`, for the same rows in the same order.

        Raises:
            OutputError: another job has taken the output over.
        """
        if self._lease is not None:
            self._lease.check()
        table = pa.Table.from_arrays(
            manifest_rows.columns + scores.columns,
            schema=pa.schema([*manifest_rows.schema, *schema.SCORES], self._metadata),
        )
        buffer = io.BytesIO()
        pq.write_table(table, buffer, compression="zstd")
        storage.write_bytes(self.shard_uri(shard), buffer.getvalue())
        return _failed(table[schema.ERROR])

    def _failed(self, shard: int, rows: int) -> int | None:
        """Failed rows of a shard's file; None if it is not the whole shard."""
        uri = self.shard_uri(shard)
        try:
            with storage.open_file(uri) as stream:
                return self._failed_in(stream, rows)
        except (pa.ArrowException, OSError):
            # The file may be torn, or the storage in trouble, which must not look the same: read
            # whole, the storage says so.
            content = io.BytesIO(storage.read_bytes(uri))
        try:
            return self._failed_in(content, rows)
        except (pa.ArrowException, OSError):
            return None

    def _failed_in(self, stream: IO[bytes] | pa.NativeFile, rows: int) -> int | None:
        file = pq.ParquetFile(stream)
        metadata = file.schema_arrow.metadata or {}
        if file.metadata.num_rows != rows or metadata.get(_METADATA_KEY) != self._metadata.get(
            _METADATA_KEY
        ):
            return None
        return _failed(file.read([schema.ERROR])[schema.ERROR])

    def _check_same(self, there: Config) -> None:
        old, new = _flat(there), _flat(self._config)
        differing = [
            f"  {key}: {old.get(key)!r} there, {new.get(key)!r} now"
            for key in sorted(old.keys() | new.keys())
            if old.get(key) != new.get(key)
        ]
        if differing:
            raise OutputError(
                "\n".join(
                    [
                        f"{self.uri} holds the scores of a run that differs from this one:",
                        *differing,
                        "give the same settings to go on with it, or name another --output",
                    ]
                )
            )


def _columns() -> dict[str, dict[str, str | None]]:
    return {name: asdict(meaning) for name, meaning in schema.MEANINGS.items()}


def _failed(errors: pa.ChunkedArray) -> int:
    return len(errors) - int(errors.null_count)


def _flat(config: Config, prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat
