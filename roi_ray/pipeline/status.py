"""Read the state of a run from its output alone: rows done, failed and missing, and the speed.

Reads the footer of each shard's file, and the errors of shards with failed rows. A run of 10^8
rows has 10^5 files, so only a few numbers per file are kept.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from roi_ray import schema
from roi_ray.io import storage
from roi_ray.io.lock import current_writer
from roi_ray.pipeline.output import LOCK_JSON
from roi_ray.pipeline.run_record import RUN_JSON, read_run, written_by
from roi_ray.pipeline.shard_file import Footer, map_in_threads, read_footers, read_shard

CELLS = "cells"
"""Folder of a sweep that has its shards."""

_EXAMPLES = 3


@dataclass
class FailureKind:
    """Failed rows of one kind of error, with some of the messages."""

    rows: int = 0
    examples: list[str] = field(default_factory=list)


@dataclass
class Job:
    """The part of a run that one job wrote. A run that was interrupted has several jobs.

    Attributes:
        started: start of the job, by its driver's clock.
        last: time of its last file, by the same clock.
        rows: number of rows in its files.
    """

    started: datetime
    last: datetime
    rows: int = 0

    @property
    def seconds(self) -> float:
        """Seconds from the job's start to its last file."""
        return (self.last - self.started).total_seconds()

    @property
    def speed(self) -> float:
        """Rows per second, including the time to start."""
        return self.rows / max(self.seconds, 1e-9)


@dataclass
class Status:
    """The state of a run.

    Attributes:
        output: URI of the output.
        run: the record of the run.
        writer: the job that is writing now, or None.
        shards: number of rows of each complete shard.
        failed_shards: URIs of the shards with failed rows.
        foreign: URIs of files in a shard's place that are torn or belong to another run.
        failed: number of rows with an error.
        kinds: failed rows by `error_kind`, the most frequent first.
        jobs: the jobs that wrote the shards, in the order of their start.
    """

    output: str
    run: dict[str, Any]
    writer: str | None = None
    shards: dict[int, int] = field(default_factory=dict)
    failed_shards: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    failed: int = 0
    kinds: dict[str, FailureKind] = field(default_factory=dict)
    jobs: list[Job] = field(default_factory=list)

    @property
    def command(self) -> str:
        """The command that writes the output."""
        return written_by(self.run)

    @property
    def rows(self) -> int:
        """Number of rows in the manifest."""
        return int(self.run["config"]["manifest"]["rows"])

    @property
    def done(self) -> int:
        """Number of rows in the output, including failed ones."""
        return sum(self.shards.values())

    @property
    def missing(self) -> int:
        """Number of rows that are not in the output yet."""
        return self.rows - self.done


def read_status(output_uri: str) -> Status:
    """Read the state of a run, even while a job is writing.

    Args:
        output_uri: folder, local or on S3, of scores or of a sweep, which has its cells in `cells`.

    Raises:
        OutputError: the folder is not such an output.
        StorageError: the folder cannot be read.
    """
    uri = storage.absolute(output_uri)
    cells = storage.join(uri, CELLS)
    if not _is_output(uri) and _is_output(cells):
        uri = cells
    status = Status(uri, read_run(uri, command=None))
    jobs: dict[datetime, Job] = {}
    with ThreadPoolExecutor(1) as background:
        writer = background.submit(current_writer, storage.join(uri, *LOCK_JSON))
        for shard, file, footer in read_footers(uri, status.run):
            if footer is None:
                status.foreign.append(file)
                continue
            status.shards[shard] = footer.rows
            status.failed += footer.failed
            if footer.failed:
                status.failed_shards.append(file)
            _count_job(jobs, footer)
        status.jobs = sorted(jobs.values(), key=lambda job: job.started)
        status.kinds = _group_failures(status.failed_shards)
        status.writer = writer.result()
    return status


def _is_output(uri: str) -> bool:
    return storage.is_file(storage.join(uri, *RUN_JSON))


def _count_job(jobs: dict[datetime, Job], footer: Footer) -> None:
    if footer.job_started is None or footer.committed is None:
        return
    job = jobs.setdefault(footer.job_started, Job(footer.job_started, footer.committed))
    job.last = max(job.last, footer.committed)
    job.rows += footer.rows


def _group_failures(files: list[str]) -> dict[str, FailureKind]:
    kinds: dict[str, FailureKind] = {}
    for failures in map_in_threads(_read_failures, files):
        for kind, text in failures:
            group = kinds.setdefault(kind, FailureKind())
            group.rows += 1
            if len(group.examples) < _EXAMPLES:
                group.examples.append(text)
    return dict(sorted(kinds.items(), key=lambda item: -item[1].rows))


def _read_failures(file: str) -> list[tuple[str, str]]:
    """Read the `error_kind` and `error` of each failed row."""
    columns = [schema.ERROR_KIND, schema.ERROR]
    failed = read_shard(file, columns).drop_null()
    return list(zip(*(failed[name].to_pylist() for name in columns), strict=True))
