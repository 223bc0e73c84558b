"""The whole job, from files to Parquet, against the scorer alone on the same files."""

import contextlib
import multiprocessing
import statistics
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, Queue

import pyarrow as pa
import pyarrow.parquet as pq
import torch

from roi_ray import schema
from roi_ray.bench.contenders import scorer
from roi_ray.bench.workload import Group
from roi_ray.errors import RoiRayError
from roi_ray.pipeline.options import Options
from roi_ray.pipeline.run import score_manifest
from roi_ray.runtime.cluster import connect
from roi_ray.runtime.memory import keep_freed_memory
from roi_ray.scoring.scorer import Scorer
from roi_ray.settings import Settings

_SAMPLE_SECONDS = 1.0


@dataclass(frozen=True)
class JobSpeed:
    """How fast the job went.

    Attributes:
        pairs: in the manifest.
        seconds: of all of it, with the start of Ray and of the actors.
        steady: pairs a second, from when each actor has committed a shard to the last one.
        memory: MiB of the largest actor's own memory, the median of each tenth of the steady time;
            empty where there is no `/proc`.
    """

    pairs: int
    seconds: float
    steady: float
    memory: tuple[float, ...]


def bare(groups: Sequence[Group], settings: Settings, processes: int, threads: int) -> float:
    """Pairs a second of the scorer without Ray, in that many processes side by side.

    Each scores its first group to get warm, then all of its own; what it took the slowest counts.
    """
    context = multiprocessing.get_context("spawn")
    barrier, seconds = context.Barrier(processes), context.Queue()
    workers = [
        context.Process(
            target=_score_all, args=(groups[rank::processes], settings, threads, barrier, seconds)
        )
        for rank in range(processes)
    ]
    for worker in workers:
        worker.start()
    taken: list[float] = []
    try:
        while len(taken) < processes:
            with contextlib.suppress(Empty):
                taken.append(seconds.get(timeout=1))
            if any(worker.exitcode for worker in workers):
                raise RoiRayError("a scoring process died; see its message above")
    finally:
        for worker in workers:
            worker.terminate()  # has ended, unless another died before it
            worker.join()
    return sum(len(group.distorted) for group in groups) / max(taken)


def job(groups: Sequence[Group], folder: Path, settings: Settings, cpus: int) -> JobSpeed:
    """Run the job on a manifest of the groups, a shard each, on a Ray that sees so many CPUs."""
    pairs = [(str(g.reference), str(path)) for g in groups for path in g.distorted]
    folder.mkdir(parents=True)
    manifest = folder / "manifest.parquet"
    columns = dict(zip(schema.URIS, map(list, zip(*pairs, strict=True)), strict=True))
    pq.write_table(pa.table(columns), manifest)
    output = folder / "scores"
    each = len(groups[0].distorted)
    started = time.monotonic()
    with _Memory() as memory, connect(cpus=cpus):
        images = str(groups[0].reference.parent)
        options = Options(device="cpu", shard_size=each, allow_prefixes=(images,))
        summary = score_manifest(str(manifest), str(output), settings, options)
    seconds = time.monotonic() - started
    if summary.failed:
        raise RoiRayError(f"{summary.failed} pairs failed: {summary.examples}")
    committed = sorted(path.stat().st_mtime for path in output.glob("shard-*.parquet"))
    # As many as there are actors, which begin together, end together at first.
    first, last = committed[cpus - 1], committed[-1]
    return JobSpeed(
        pairs=len(pairs),
        seconds=seconds,
        steady=(len(committed) - cpus) * each / (last - first),
        memory=memory.tenths(first, last),
    )


def _score_all(
    groups: Sequence[Group],
    settings: Settings,
    threads: int,
    barrier: "threading.Barrier",
    seconds: "Queue[float]",
) -> None:
    torch.set_num_threads(threads)
    keep_freed_memory()
    score = scorer(Scorer(settings))
    score(groups[:1])
    barrier.wait()
    started = time.monotonic()
    for group in groups:
        score([group])
    seconds.put(time.monotonic() - started)


class _Memory(threading.Thread):
    """Samples the resident memory of the largest scoring actor on this machine."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._samples: list[tuple[float, float]] = []
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.wait(_SAMPLE_SECONDS):
            if sizes := [
                size for size in map(actor_memory_mib, Path("/proc").glob("[0-9]*")) if size
            ]:
                self._samples.append((time.time(), max(sizes)))

    def tenths(self, first: float, last: float) -> tuple[float, ...]:
        """Medians over ten equal parts of a stretch of time."""
        parts: list[list[float]] = [[] for _ in range(10)]
        for at, size in self._samples:
            if first <= at < last:
                parts[int(10 * (at - first) / (last - first))].append(size)
        return tuple(statistics.median(part) for part in parts if part)

    def __enter__(self) -> "_Memory":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()


def actor_memory_mib(process: Path) -> float:
    """The same of a scoring actor; 0 for another process."""
    try:
        if b"ScoringActor" not in (process / "cmdline").read_bytes():
            return 0.0
    except OSError:
        return 0.0  # it has ended
    return own_memory_mib(process)


def own_memory_mib(process: Path) -> float:
    """MiB of a process's own memory, by its folder in /proc; not that of the object store."""
    try:
        status = (process / "status").read_text()
    except OSError:
        return 0.0  # it has ended
    return next(
        (int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("RssAnon")),
        0.0,
    )
