"""The writer of a locked output: each shard's file is written whole or not at all."""

import io
from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from roi_ray import schema
from roi_ray.io import storage
from roi_ray.io.lock import OutputLock
from roi_ray.io.manifest import find_failed
from roi_ray.pipeline.history import add_manifest
from roi_ray.pipeline.run_record import RUN_FOLDER, RUN_JSON, Run, now, provenance, write_run
from roi_ray.pipeline.shard_file import make_metadata
from roi_ray.runtime.logs import LOGGER

if TYPE_CHECKING:
    from roi_ray.pipeline.output import Output


class OutputWriter:
    """Writer of a locked output; see `Output.lock`."""

    def __init__(self, output: "Output", lock: OutputLock) -> None:
        self.kind = output.kind
        self._output, self._lock = output, lock

    def record(self, run: Run) -> None:
        """Make `run.json` describe a run, which keeps the time of its first job's start."""
        stored = self._output.stored
        described = run if stored is None else {**run, "started": stored.get("started")}
        if described != stored:
            self._lock.check()
            write_run(self._output.uri, described)
        self._output.run, self._output.stored = run, described

    def remove_record(self) -> None:
        """Remove `run.json` from an output without shards."""
        self._lock.check()
        storage.delete(storage.join(self._output.uri, *RUN_JSON))

    def record_manifest(self, complete: Collection[int]) -> None:
        """Record the manifest of this run as one that follows those of the stored record.

        Args:
            complete: numbers of the complete shards, which are those of earlier manifests now.
        """
        assert self._output.stored is not None
        self.record(add_manifest(self._output.run, self._output.stored, complete))

    def commit(self, shard: int, manifest_rows: pa.Table, results: pa.Table) -> int:
        """Write a shard's file, whole or not at all.

        Args:
            shard: number of the shard.
            manifest_rows: the manifest's columns; its errors are among the results too.
            results: the columns that the job adds, for the same rows in the same order.

        Returns:
            number of its rows that failed.

        Raises:
            OutputError: another job has taken over the output.
        """
        run, columns = self._output.run, self.kind.columns
        is_failed = find_failed(manifest_rows)
        failed_before = [] if is_failed is None else np.flatnonzero(is_failed).tolist()
        manifest_rows = manifest_rows.select(
            [name for name in manifest_rows.column_names if name not in columns.names]
        )
        metadata = make_metadata(provenance(run), shard, run["started"], now(), failed_before)
        table = pa.Table.from_arrays(
            manifest_rows.columns + results.select(columns.names).columns,
            schema=pa.schema([*manifest_rows.schema, *columns], metadata),
        )
        buffer = io.BytesIO()
        pq.write_table(table, buffer, compression="zstd")
        self._lock.check()
        storage.write_bytes(self._output.shard_uri(shard), buffer.getvalue())
        return int(table.num_rows - table[schema.ERROR].null_count)

    def quarantine(self, name: str) -> None:
        """Move a file that readers would take for a shard of this run to `_run/torn/`."""
        target = storage.join(self._output.uri, RUN_FOLDER, "torn", name)
        LOGGER.warning("%s is torn, or not of this run: moved to %s", name, target)
        storage.move(storage.join(self._output.uri, name), target)
