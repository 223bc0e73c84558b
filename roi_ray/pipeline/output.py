"""The output of a run: a folder with one Parquet file per shard.

    OUTPUT/shard-000000.parquet   the results; all shards together are one data set
    OUTPUT/_run/run.json          the record of the run: settings, weights, versions, columns
    OUTPUT/_run/lock.json         who is writing, while a job runs; on disks also .lock.json.mutex
    OUTPUT/_run/torn/             quarantine: files in a shard's place that are not that shard

Readers of Parquet data sets skip names that begin with an underscore.
"""

from collections.abc import Container, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from roi_ray.errors import OutputError, RoiRayError
from roi_ray.io import storage
from roi_ray.io.lock import OutputLock
from roi_ray.pipeline.history import (
    find_identities,
    is_same_manifest,
    with_history_of,
    with_manifest_of,
)
from roi_ray.pipeline.kind import JobKind
from roi_ray.pipeline.output_writer import OutputWriter
from roi_ray.pipeline.plan import Rows
from roi_ray.pipeline.run_record import (
    RUN_FOLDER,
    RUN_JSON,
    Run,
    identity,
    list_differences,
    read_run,
)
from roi_ray.pipeline.shard_file import (
    Footer,
    list_shard_files,
    map_in_threads,
    read_footer,
    read_footers,
    shard_name,
)

LOCK_JSON = (RUN_FOLDER, "lock.json")


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

    Attributes:
        run: the run; when the record has been read, with its history.
        stored: the record as it was read last; None if the output has none, or that of a run
            without shards.
    """

    def __init__(self, uri: str, run: Run, kind: JobKind) -> None:
        self.uri = storage.absolute(uri)
        self.kind = kind
        self.run = run
        self.stored: Run | None = None

    def is_recorded(self) -> bool:
        """Return whether `run.json` describes this run, with its manifest in its present place.

        Raises:
            OutputError: the folder has shards of another run, or other files but no `run.json`.
        """
        self._read_record()
        stored = self.stored
        return (
            stored is not None
            and not self.grows
            and all(stored.get(name) == self.run[name] for name in ("manifest", "columns"))
        )

    @property
    def grows(self) -> bool:
        """Whether the output has shards of another manifest than the run's."""
        return self.stored is not None and not is_same_manifest(self.stored, self.run)

    def read_complete_shards(self) -> dict[int, Footer]:
        """Read the footers of all complete shards of the recorded run, by their number.

        Raises:
            StorageError: the output cannot be read.
        """
        footers = read_footers(self.uri, self.stored or self.run)
        return {shard: footer for shard, _, footer in footers if footer is not None}

    def inspect(self, shards: Mapping[int, Rows]) -> Inventory:
        """Find out which of the shards are complete.

        Raises:
            StorageError: the output cannot be read.
        """
        names = set(storage.list_files(self.uri))
        expected = find_identities(self.run)
        stored = [shard for shard in shards if shard_name(shard) in names]
        footers = map_in_threads(
            lambda shard: read_footer(self.shard_uri(shard), shard, expected(shard)), stored
        )
        failed = {
            shard: footer.failed
            for shard, footer in zip(stored, footers, strict=True)
            if footer is not None and footer.rows == len(shards[shard])
        }
        return Inventory(
            failed=failed,
            missing={shard: rows for shard, rows in shards.items() if shard not in failed},
            torn=[shard_name(shard) for shard in stored if shard not in failed],
        )

    def find_foreign_files(self, shards: Container[int]) -> list[str]:
        """List files that readers would take for shards, but that are none of these."""
        files = list_shard_files(self.uri)
        return [uri.rpartition("/")[2] for shard, uri in files if shard not in shards]

    @contextmanager
    def lock(self) -> Iterator[OutputWriter]:
        """Lock the output against other jobs, and bring `run.json` up to date.

        Call `inspect` again under the lock, because another job may have written before. If the
        output `grows`, call `OutputWriter.record_manifest` before any shard is committed.

        An error before the first shard of a new output removes the record, and the folders that
        this job has made.

        Raises:
            OutputError: another job is writing to the output, or has begun another run in it.
        """
        with OutputLock(storage.join(self.uri, *LOCK_JSON)) as lock:
            is_new = not self._has_record()
            self._read_record()
            writer = OutputWriter(self, lock)
            if not self.grows:
                writer.record(self.run)
            try:
                yield writer
            except RoiRayError:
                with suppress(RoiRayError):  # the first error says what is wrong
                    if is_new and not any(list_shard_files(self.uri)):
                        writer.remove_record()
                raise

    def shard_uri(self, shard: int) -> str:
        """Return the URI of a shard's file."""
        return storage.join(self.uri, shard_name(shard))

    def _has_record(self) -> bool:
        return storage.is_file(storage.join(self.uri, *RUN_JSON))

    def _read_record(self) -> None:
        """Read the record, if it is this run's, and take over its history."""
        self.stored = None
        if not self._has_record():
            if storage.list_files(self.uri):
                raise OutputError(
                    f"{self.uri} holds files but no {'/'.join(RUN_JSON)}, so it is not an output "
                    f"of `roi-ray {self.kind.command}`; name an empty or new folder"
                )
            return
        stored = read_run(self.uri, self.kind.command)
        is_same = is_same_manifest(stored, self.run)
        adapt = with_history_of if is_same else with_manifest_of
        differences = list_differences(identity(stored), identity(adapt(self.run, stored)))
        if (differences or not is_same) and not any(list_shard_files(self.uri)):
            return
        if differences:
            raise OutputError(
                f"{self.uri} holds the {self.kind.content} of a run that differs from this one:\n"
                + ";\n".join(differences)
                + ".\nRepeat the settings of that run to resume it, or name another --output"
            )
        self.stored = stored
        if is_same:
            self.run = with_history_of(self.run, stored)
