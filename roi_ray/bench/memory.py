"""Measure the memory of a whole job: all its processes, sampled from /proc while it runs.

Each job is a command of its own (`roi-ray score`), so that nothing of the benchmark is counted.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from roi_ray.bench.options import EngineName
from roi_ray.bench.workload import Group, write_manifest
from roi_ray.settings import MAX_PIXELS, Settings

_PROC = Path("/proc")
_SAMPLE_SECONDS = 0.05
_SHOWN_CHARACTERS = 500
_OBJECT_STORE = "/dev/shm/plasma"  # beginning of the name of the object store's file


@dataclass(frozen=True)
class JobMemory:
    """Peak memory of a job.

    Attributes:
        mib: largest sum, over time, of the private memory of all processes, the object store in
            use, and the largest process's pages of files (programs and libraries, which processes
            share). Of a job of one process, its peak resident memory, which the system records.
        processes: number of processes at the peak.
        largest_mib: private memory of the largest process at the peak.
        store_mib: object store in use at the peak.
        seconds: duration of the job, including its start.
        error: why the job failed; None if it scored all pairs.
    """

    mib: float
    processes: int
    largest_mib: float
    store_mib: float
    seconds: float
    error: str | None = None


def measure_job_memory(
    groups: Sequence[Group], pixels: int, engine: EngineName, settings: Settings, device: str
) -> JobMemory | None:
    """Score the pairs of some groups by a command of its own, and measure the job's memory.

    Args:
        groups: images to score.
        pixels: pixels of an image.
        engine: engine of the job; Ray is started for it, on this machine.
        settings: settings of the scorer.
        device: `auto`, `cpu` or `cuda`.

    Returns:
        the peak; None on systems without /proc.
    """
    if not (_PROC / "self" / "status").is_file():
        return None
    with tempfile.TemporaryDirectory() as folder:
        manifest, output = Path(folder, "manifest.parquet"), Path(folder, "scores")
        write_manifest(groups, manifest)
        command = [sys.executable, "-m", "roi_ray", "score", "--engine", engine]
        command += ["--manifest", str(manifest), "--output", str(output), "--fail-above", "0"]
        command += ["--allow-prefix", str(groups[0].reference.parent), "--device", device]
        command += ["--precision", settings.precision, "--lpips", settings.lpips]
        command += ["--max-pixels", str(max(MAX_PIXELS, pixels)), "--allow-slow-precision"]
        return _run_and_sample(command)


def _run_and_sample(command: Sequence[str]) -> JobMemory:
    """Run a command, and sample the memory of its processes until it ends."""
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    peak, resident, processes_seen = _Sample(0, 0, 0, 0), 0.0, 0
    started = time.monotonic()
    with tempfile.TemporaryFile("w+") as text:
        process = subprocess.Popen(command, env=environment, stdout=text, stderr=text)
        try:
            while process.poll() is None:
                sample = _sample(process.pid)
                peak = max(peak, sample, key=lambda sample: sample.mib)
                resident = max(resident, read_status(_PROC / str(process.pid)).get("VmHWM", 0.0))
                processes_seen = max(processes_seen, sample.processes)
                time.sleep(_SAMPLE_SECONDS)
        finally:
            process.kill()
            process.wait()
        seconds = time.monotonic() - started
        text.seek(0)
        error = _explain_failure(process.returncode, text.read())
    return JobMemory(
        mib=max(peak.mib, resident) if processes_seen == 1 else peak.mib,
        processes=peak.processes,
        largest_mib=peak.largest_mib,
        store_mib=peak.store_mib,
        seconds=seconds,
        error=error,
    )


def _explain_failure(code: int, text: str) -> str | None:
    if not code:
        return None
    if code < 0:
        hint = ": did the machine run out of memory?" if -code == signal.SIGKILL else ""
        return f"killed by signal {-code}{hint}"
    return f"exit code {code}: {text.strip()[-_SHOWN_CHARACTERS:]}"


@dataclass(frozen=True)
class _Sample:
    """Memory of a job at one moment, see `JobMemory`."""

    mib: float
    processes: int
    largest_mib: float
    store_mib: float


def _sample(pid: int) -> _Sample:
    """Sum up the memory of a process and of all its descendants."""
    tree = list(list_descendants(pid))
    statuses = [status for pid in tree if (status := read_status(_PROC / str(pid)))]
    private = [status.get("RssAnon", 0.0) for status in statuses]
    files = [status.get("RssFile", 0.0) for status in statuses]
    store = max(map(_object_store_mib, tree), default=0.0)
    return _Sample(
        mib=sum(private) + max(files, default=0.0) + store,
        processes=len(statuses),
        largest_mib=max(private, default=0.0),
        store_mib=store,
    )


def list_descendants(pid: int) -> Iterator[int]:
    """Yield the number of a process and those of its children, their children, and so on."""
    children: dict[int, list[int]] = {}
    for folder in _PROC.glob("[0-9]*"):
        with suppress(OSError):  # the process has ended
            # The name of the program, in brackets, may contain anything.
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(folder.name))
    waiting = [pid]
    while waiting:
        yield (current := waiting.pop())
        waiting += children.get(current, [])


def read_status(process: Path) -> dict[str, float]:
    """Read the sizes in a process's status, in MiB, from its /proc folder; empty if it ended."""
    try:
        lines = (process / "status").read_text().splitlines()
    except OSError:
        return {}
    fields = (line.split() for line in lines if line.endswith(" kB"))
    return {name.rstrip(":"): int(size) / 1024 for name, size, _ in fields}


def _object_store_mib(pid: int) -> float:
    """Return the size of the object store in use, if a process holds it open."""
    size = 0
    with suppress(OSError):
        for link in (_PROC / str(pid) / "fd").iterdir():
            with suppress(OSError):
                if os.readlink(link).startswith(_OBJECT_STORE):
                    size = max(size, 512 * link.stat().st_blocks)
    return size / (1 << 20)
