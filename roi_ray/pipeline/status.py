"""How far a job is, from its output alone: what is done, what failed, what is missing, how fast.

Of each shard's file the footer is read, and the errors where there are any; of 10^8 rows that is
10^5 files. Nothing is kept of a file but a few numbers.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from roi_ray import schema
from roi_ray.errors import kind_of
from roi_ray.io import storage
from roi_ray.io.lock import current_writer
from roi_ray.pipeline.output import LOCK_JSON, read_run
from roi_ray.pipeline.shard_file import Footer, identity, read_footer, read_shard, shard_files

_EXAMPLES = 3
_READERS = 32
_AT_ONCE = 256

T = TypeVar("T")
R = TypeVar("R")


@dataclass
class Kind:
    """Failed pairs of one kind, and the errors of some."""

    pairs: int = 0
    examples: list[str] = field(default_factory=list)


@dataclass
class Job:
    """What one job wrote; there are several where one was interrupted and started again.

    Attributes:
        started: by the clock of its driver.
        last: when it wrote its last file, by the same clock.
        pairs: in its files.
    """

    started: datetime
    last: datetime
    pairs: int = 0

    @property
    def seconds(self) -> float:
        """From its start to its last file."""
        return (self.last - self.started).total_seconds()

    @property
    def speed(self) -> float:
        """Pairs a second, its start included."""
        return self.pairs / max(self.seconds, 1e-9)


@dataclass
class Status:
    """Where a run stands.

    Attributes:
        output: its URI.
        run: what `_run/run.json` holds.
        writer: who is writing to it now, or None.
        shards: for each that is there, its number of pairs.
        failed_shards: URIs of those with failed pairs.
        foreign: URIs of what stands in a shard's place but is torn, or of another run.
        failed: pairs with an error.
        kinds: of these, by kind, the most frequent first.
        jobs: that wrote what is there, in their order; of files that say when they were written.
    """

    output: str
    run: dict[str, Any]
    writer: str | None = None
    shards: dict[int, int] = field(default_factory=dict)
    failed_shards: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    failed: int = 0
    kinds: dict[str, Kind] = field(default_factory=dict)
    jobs: list[Job] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """Pairs of the manifest."""
        return int(self.run["config"]["manifest"]["rows"])

    @property
    def done(self) -> int:
        """Pairs that are there, failed ones included."""
        return sum(self.shards.values())

    @property
    def missing(self) -> int:
        """Pairs that are not there yet."""
        return self.rows - self.done


def read_status(output_uri: str) -> Status:
    """Look at an output, which a job may be writing to.

    Args:
        output_uri: folder, local or on S3, that `score_manifest` wrote.

    Raises:
        OutputError: it is no such folder.
        StorageError: it cannot be read.
    """
    uri = storage.absolute(output_uri)
    status = Status(uri, read_run(uri))
    expected = identity(status.run)
    jobs: dict[datetime, Job] = {}
    with ThreadPoolExecutor(1) as aside:
        watched = aside.submit(current_writer, storage.join(uri, *LOCK_JSON))
        files = list(shard_files(uri))
        footers = in_parallel(lambda file: read_footer(file[1], file[0], expected), files)
        for (shard, file), footer in zip(files, footers, strict=True):
            if footer is None:
                status.foreign.append(file)
                continue
            status.shards[shard] = footer.rows
            status.failed += footer.failed
            if footer.failed:
                status.failed_shards.append(file)
            _count_job(jobs, footer)
        status.jobs = sorted(jobs.values(), key=lambda job: job.started)
        status.kinds = _kinds(status.failed_shards)
        status.writer = watched.result()
    return status


def in_parallel(function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """`map` in threads that wait for the storage, with a few results waiting in memory."""
    every = list(items)
    with ThreadPoolExecutor(_READERS) as readers:
        for start in range(0, len(every), _AT_ONCE):
            yield from readers.map(function, every[start : start + _AT_ONCE])


def _count_job(jobs: dict[datetime, Job], footer: Footer) -> None:
    if footer.job_started is None or footer.committed is None:
        return
    job = jobs.setdefault(footer.job_started, Job(footer.job_started, footer.committed))
    job.last = max(job.last, footer.committed)
    job.pairs += footer.rows


def _kinds(files: list[str]) -> dict[str, Kind]:
    kinds: dict[str, Kind] = {}
    for errors in in_parallel(_errors, files):
        for error in errors:
            kind = kinds.setdefault(kind_of(error), Kind())
            kind.pairs += 1
            if len(kind.examples) < _EXAMPLES:
                kind.examples.append(error)
    return dict(sorted(kinds.items(), key=lambda item: -item[1].pairs))


def _errors(file: str) -> list[str]:
    errors: list[str] = read_shard(file, [schema.ERROR])[schema.ERROR].drop_null().to_pylist()
    return errors
