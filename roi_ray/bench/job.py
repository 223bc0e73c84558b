"""Measure a whole job on Ray, from files to Parquet, and the scorer alone on the same files."""

import contextlib
import multiprocessing
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, Queue
from typing import Any

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
class ScorerSpeed:
    """Speed of the scorer without Ray.

    Attributes:
        pairs: number of pairs.
        seconds: from the start of the processes to the end of the last one.
        pairs_per_s: pairs per second of all processes together, each after its first group.
    """

    pairs: int
    seconds: float
    pairs_per_s: float


@dataclass(frozen=True)
class JobSpeed:
    """Speed and memory of a job.

    The steady phase lasts from the commit of each actor's first shard until an actor has no more
    work.

    Attributes:
        pairs: number of pairs in the manifest.
        seconds: from the start of the job's process to its end.
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
) -> ScorerSpeed:
    """Measure the scorer without Ray, in several new processes at once.

    Each process decodes and scores its share of the groups, and keeps no numbers.

    Args:
        groups: images to score.
        settings: settings of the scorer.
        processes: number of processes.
        threads: threads per process.

    Raises:
        RoiRayError: a process died.
    """
    started = time.monotonic()
    results = _run_processes(
        [(_score_groups, (groups[rank::processes], settings, threads)) for rank in range(processes)]
    )
    return ScorerSpeed(
        pairs=sum(len(group.distorted) for group in groups),
        seconds=time.monotonic() - started,
        pairs_per_s=sum(pairs / seconds for pairs, seconds in results),
    )


def measure_job(groups: Sequence[Group], folder: Path, settings: Settings, cpus: int) -> JobSpeed:
    """Run a job on a local Ray, in a new process, with one actor per CPU and one shard per group.

    Args:
        groups: images to score.
        folder: folder for the manifest and the scores.
        settings: settings of the scorer.
        cpus: number of CPUs that Ray sees.

    Raises:
        RoiRayError: a pair failed, or the process died.
    """
    folder.mkdir(parents=True)
    manifest = folder / "manifest.parquet"
    write_manifest(groups, manifest)
    output = folder / "scores"
    options = Options(
        engine="ray",
        device="cpu",
        shard_size=len(groups[0].distorted),
        allow_prefixes=(str(groups[0].reference.parent),),
        allow_slow_precision=True,
    )
    started = time.monotonic()
    with _MemorySampler() as memory:
        _run_processes([(_run_job, (str(manifest), str(output), settings, options, cpus))])
    seconds = time.monotonic() - started
    committed = sorted(path.stat().st_mtime for path in output.glob("shard-*.parquet"))
    # The actors start together, so their first commits are the first `cpus` ones. At the end, one
    # actor may have no more work.
    first, last = committed[cpus - 1], committed[-cpus]
    return JobSpeed(
        pairs=sum(len(group.distorted) for group in groups),
        seconds=seconds,
        steady_pairs_per_s=(len(committed) - 2 * cpus + 1) * options.shard_size / (last - first),
        memory_mib=memory.medians_of_tenths(first, last),
    )


def _run_processes(calls: Sequence[tuple[Callable[..., object], tuple[Any, ...]]]) -> list[Any]:
    """Call each function in a new process, and return what they return when all have ended."""
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    processes = [context.Process(target=_put_result, args=(results, *call)) for call in calls]
    for process in processes:
        process.start()
    values: list[Any] = []
    try:
        while len(values) < len(processes):
            with contextlib.suppress(Empty):
                values.append(results.get(timeout=1))
            if any(process.exitcode for process in processes):
                raise RoiRayError("a process died; see its message above")
        for process in processes:
            process.join()
    finally:
        for process in processes:
            process.terminate()  # has ended already, unless another process died
            process.join()
    return values


def _put_result(
    results: "Queue[Any]", function: Callable[..., object], arguments: tuple[Any, ...]
) -> None:
    results.put(function(*arguments))


def _run_job(manifest: str, output: str, settings: Settings, options: Options, cpus: int) -> None:
    with connect(cpus=cpus):
        summary = score_manifest(manifest, output, settings, options)
    if summary.failed:
        raise RoiRayError(f"{summary.failed} pairs failed: {summary.examples}")


def _score_groups(groups: Sequence[Group], settings: Settings, threads: int) -> tuple[int, float]:
    """Score groups; return the pairs of all but the first, the warm-up, and their seconds."""
    torch.set_num_threads(threads)
    keep_freed_memory()
    score = implement_scorer(Scorer(settings, "cpu", allow_slow_precision=True))
    score(groups[:1])
    started = time.monotonic()
    for group in groups[1:]:
        score([group])
    return sum(len(group.distorted) for group in groups[1:]), time.monotonic() - started


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
