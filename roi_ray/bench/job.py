"""Measure a whole job on Ray, from files to Parquet, and the scorer alone on the same files."""

import contextlib
import multiprocessing
import statistics
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, Queue

import torch

from roi_ray.bench.implementations import implement_scorer
from roi_ray.bench.memory import read_status
from roi_ray.bench.workload import Group, write_manifest
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
    """Speed and memory of a job.

    The steady phase lasts from the commit of each actor's first shard to the last commit.

    Attributes:
        pairs: number of pairs in the manifest.
        seconds: duration of the job, including the start of Ray and of the actors.
        steady_pairs_per_s: pairs per second in the steady phase.
        memory_mib: private memory of the largest actor in MiB, the median of each tenth of the
            steady phase; empty on systems without `/proc`.
    """

    pairs: int
    seconds: float
    steady_pairs_per_s: float
    memory_mib: tuple[float, ...]


def measure_scorer(
    groups: Sequence[Group], settings: Settings, processes: int, threads: int
) -> float:
    """Measure the scorer without Ray, in several processes at once.

    Each process scores its first group as a warm-up, then its share of the groups.

    Args:
        groups: images to score.
        settings: settings of the scorer.
        processes: number of processes.
        threads: threads per process.

    Returns:
        Pairs per second of all processes together, by the time of the slowest one.

    Raises:
        RoiRayError: a process died.
    """
    context = multiprocessing.get_context("spawn")
    barrier, seconds = context.Barrier(processes), context.Queue()
    workers = [
        context.Process(
            target=_score_groups,
            args=(groups[rank::processes], settings, threads, barrier, seconds),
        )
        for rank in range(processes)
    ]
    for worker in workers:
        worker.start()
    durations: list[float] = []
    try:
        while len(durations) < processes:
            with contextlib.suppress(Empty):
                durations.append(seconds.get(timeout=1))
            if any(worker.exitcode for worker in workers):
                raise RoiRayError("a scoring process died; see its message above")
    finally:
        for worker in workers:
            worker.terminate()  # has ended already, unless another process died
            worker.join()
    return sum(len(group.distorted) for group in groups) / max(durations)


def measure_job(groups: Sequence[Group], folder: Path, settings: Settings, cpus: int) -> JobSpeed:
    """Run a job on a local Ray with one actor per CPU and one shard per group.

    Args:
        groups: images to score.
        folder: folder for the manifest and the scores.
        settings: settings of the scorer.
        cpus: number of CPUs that Ray sees.

    Raises:
        RoiRayError: a pair failed.
    """
    folder.mkdir(parents=True)
    manifest = folder / "manifest.parquet"
    write_manifest(groups, manifest)
    output = folder / "scores"
    shard_size = len(groups[0].distorted)
    started = time.monotonic()
    with _MemorySampler() as memory, connect(cpus=cpus):
        images = str(groups[0].reference.parent)
        options = Options(
            engine="ray",
            device="cpu",
            shard_size=shard_size,
            allow_prefixes=(images,),
            allow_slow_precision=True,
        )
        summary = score_manifest(str(manifest), str(output), settings, options)
    seconds = time.monotonic() - started
    if summary.failed:
        raise RoiRayError(f"{summary.failed} pairs failed: {summary.examples}")
    committed = sorted(path.stat().st_mtime for path in output.glob("shard-*.parquet"))
    # The actors start together, so their first commits are the first `cpus` ones.
    first, last = committed[cpus - 1], committed[-1]
    return JobSpeed(
        pairs=sum(len(group.distorted) for group in groups),
        seconds=seconds,
        steady_pairs_per_s=(len(committed) - cpus) * shard_size / (last - first),
        memory_mib=memory.medians_of_tenths(first, last),
    )


def _score_groups(
    groups: Sequence[Group],
    settings: Settings,
    threads: int,
    barrier: "threading.Barrier",
    seconds: "Queue[float]",
) -> None:
    torch.set_num_threads(threads)
    keep_freed_memory()
    score = implement_scorer(Scorer(settings, allow_slow_precision=True))
    score(groups[:1])
    barrier.wait()
    started = time.monotonic()
    for group in groups:
        score([group])
    seconds.put(time.monotonic() - started)


class _MemorySampler(threading.Thread):
    """Thread that samples the private memory of the largest scoring actor on this machine."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._samples: list[tuple[float, float]] = []
        self._finished = threading.Event()

    def run(self) -> None:
        while not self._finished.wait(_SAMPLE_SECONDS):
            processes = Path("/proc").glob("[0-9]*")
            if largest := max(map(actor_memory_mib, processes), default=0.0):
                self._samples.append((time.time(), largest))

    def medians_of_tenths(self, first: float, last: float) -> tuple[float, ...]:
        """Compute the medians over ten equal parts of the time from `first` to `last`."""
        tenths: list[list[float]] = [[] for _ in range(10)]
        for when, size in self._samples:
            if first <= when < last:
                tenths[int(10 * (when - first) / (last - first))].append(size)
        return tuple(statistics.median(sizes) for sizes in tenths if sizes)

    def __enter__(self) -> "_MemorySampler":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._finished.set()
        self.join()


def actor_memory_mib(process: Path) -> float:
    """Read a scoring actor's private memory in MiB from its /proc folder; 0 for other processes."""
    try:
        if b"ScoringActor" not in (process / "cmdline").read_bytes():
            return 0.0
    except OSError:
        return 0.0  # the process has ended
    return private_memory_mib(process)


def private_memory_mib(process: Path) -> float:
    """Read a process's private memory in MiB, without Ray's object store, from its /proc folder."""
    return read_status(process).get("RssAnon", 0.0)
