"""The output of a run: a folder with one Parquet file per shard.

    OUTPUT/shard-000000.parquet   the results; all shards together are one data set
    OUTPUT/_run/run.json          the record of the run: settings, weights, versions, columns
    OUTPUT/_run/lock.json         who is writing, while a job runs; on disks also .lock.json.mutex
    OUTPUT/_run/torn/             quarantine: files in a shard's place that are not that shard

Readers of Parquet data sets skip names that begin with an underscore.
"""

import io
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from roi_ray import schema
from roi_ray.errors import OutputError
from roi_ray.io import storage
from roi_ray.io.lock import OutputLock
from roi_ray.pipeline.kind import JobKind
from roi_ray.pipeline.plan import Rows
from roi_ray.pipeline.run_record import (
    RUN_FOLDER,
    RUN_JSON,
    Run,
    identity,
    list_differences,
    now,
    provenance,
    read_run,
    write_run,
)
from roi_ray.pipeline.shard_file import list_shard_files, make_metadata, read_footer, shard_name
from roi_ray.runtime.logs import LOGGER

LOCK_JSON = (RUN_FOLDER, "lock.json")

_READERS = 16


@dataclass(frozen=True)
class Inventory:
    """The state of some shards in an output.

    Attributes:
        failed: number of failed rows of each complete shard.
        missing: rows of each shard that is not complete.
        torn: names of files that have the name of a missing shard.
    """

    failed: dict[int, int]
    missing: dict[int, Rows]
    torn: list[str]


class Output:
    """The output of one run, read without changing it; `lock` gives the right to write.

    Args:
        uri: folder, local or on S3.
        run: from `describe_run`.
        kind: the kind of job.
    """

    def __init__(self, uri: str, run: Run, kind: JobKind) -> None:
        self.uri = storage.absolute(uri)
        self.kind = kind
        self._run = run

    def is_recorded(self) -> bool:
        """Return whether `run.json` describes this run and the present place of its manifest.

        Raises:
            OutputError: the folder has shards of another run, or other files but no `run.json`.
        """
        stored = self._read_own_record()
        return stored is not None and all(
            stored.get(name) == self._run[name] for name in ("manifest", "columns")
        )

    def inspect(self, shards: Mapping[int, Rows]) -> Inventory:
        """Find out which of the shards are complete.

        Raises:
            StorageError: the output cannot be read.
        """
        names = set(storage.list_files(self.uri))
        stored = [shard for shard in shards if shard_name(shard) in names]
        with ThreadPoolExecutor(_READERS) as readers:
            counts = readers.map(lambda k: self._count_failed(k, len(shards[k])), stored)
            failed = {
                shard: count
                for shard, count in zip(stored, counts, strict=True)
                if count is not None
            }
        return Inventory(
            failed=failed,
            missing={shard: rows for shard, rows in shards.items() if shard not in failed},
            torn=[shard_name(shard) for shard in stored if shard not in failed],
        )

    def find_foreign_files(self, shard_count: int) -> list[str]:
        """List files that readers would take for shards, but that are not one of this run's."""
        files = list_shard_files(self.uri)
        return [uri.rpartition("/")[2] for shard, uri in files if shard not in range(shard_count)]

    @contextmanager
    def lock(self) -> Iterator["OutputWriter"]:
        """Lock the output against other jobs, and bring `run.json` up to date.

        Call `inspect` again under the lock, because another job may have written before.

        Raises:
            OutputError: another job is writing to the output, or has begun another run in it.
        """
        with OutputLock(storage.join(self.uri, *LOCK_JSON)) as lock:
            stored = self._read_own_record()
            run = self._run if stored is None else {**self._run, "started": stored.get("started")}
            if run != stored:
                write_run(self.uri, run)
            yield OutputWriter(self, lock, self._run)

    def shard_uri(self, shard: int) -> str:
        """Return the URI of a shard's file."""
        return storage.join(self.uri, shard_name(shard))

    def _count_failed(self, shard: int, rows: int) -> int | None:
        """Count the failed rows of a shard; None if its file is not the complete shard."""
        footer = read_footer(self.shard_uri(shard), shard, identity(self._run))
        return footer.failed if footer is not None and footer.rows == rows else None

    def _read_own_record(self) -> Run | None:
        """Read this run's record; None if the output has none, or that of a run without shards."""
        if not storage.is_file(storage.join(self.uri, *RUN_JSON)):
            if storage.list_files(self.uri):
                raise OutputError(
                    f"{self.uri} holds files but no {'/'.join(RUN_JSON)}, so it is not an output "
                    f"of `roi-ray {self.kind.command}`; name an empty or new folder"
                )
            return None
        stored = read_run(self.uri, self.kind.command)
        differences = list_differences(identity(stored), identity(self._run))
        if not differences:
            return stored
        if not any(list_shard_files(self.uri)):
            return None
        raise OutputError(
            f"{self.uri} holds the {self.kind.content} of a run that differs from this one:\n"
            + ";\n".join(differences)
            + ".\nRepeat the settings and manifest of that run to resume it, or name another "
            "--output"
        )


class OutputWriter:
    """Writer of a locked output; see `Output.lock`."""

    def __init__(self, output: Output, lock: OutputLock, run: Run) -> None:
        self.kind = output.kind
        self._output, self._lock = output, lock
        self._provenance, self._started = provenance(run), run["started"]

    def commit(self, shard: int, manifest_rows: pa.Table, results: pa.Table) -> int:
        """Write a shard's file, whole or not at all.

        Args:
            shard: number of the shard.
            manifest_rows: the manifest's columns. Errors of earlier steps are in `results`.
            results: the columns that the job adds, for the same rows in the same order.

        Returns:
            number of its rows that failed.

        Raises:
            OutputError: another job has taken over the output.
        """
        metadata = make_metadata(self._provenance, shard, self._started, now())
        columns = self.kind.columns
        manifest_rows = manifest_rows.drop_columns(
            [name for name in schema.ERRORS if name in manifest_rows.column_names]
        )
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
