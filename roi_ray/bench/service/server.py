"""`roi-ray serve` as a process of its own, and the memory of all its processes."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from roi_ray.bench.memory import list_descendants, read_status
from roi_ray.errors import RoiRayError
from roi_ray.runtime.logs import last_line

_PROC = Path("/proc")
_ADDRESS = re.compile(r"http://[\w.\[\]:]+")
_START_SECONDS, _STOP_SECONDS = 180.0, 90.0
_SAMPLE_SECONDS = 1.0


@dataclass(frozen=True)
class ProcessMemory:
    """Memory of one process of the service, or of those with the same name.

    Attributes:
        name: what the process is.
        start_mib: resident memory when the measurement began, in MiB: median of the first tenth.
        end_mib: resident memory when it ended: median of the last tenth.
        slope_mib_per_minute: growth over the second half, as a straight line.
    """

    name: str
    start_mib: float
    end_mib: float
    slope_mib_per_minute: float


class Server:
    """A service that runs as long as the context.

    Args:
        command: program and arguments; it prints an address when it is ready.

    Attributes:
        url: where it listens.

    Raises:
        RoiRayError: it did not start.
    """

    def __init__(self, command: Sequence[str]) -> None:
        environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
        self._text: IO[str] = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self._process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=self._text, text=True
        )
        self._reader: threading.Thread | None = None
        try:
            self.url = self._wait_for_address()
        except BaseException:
            self._process.kill()
            self._close()
            raise

    @property
    def pid(self) -> int:
        """Number of its first process."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """Exit code of its first process; None while it runs."""
        return self._process.poll()

    def _wait_for_address(self) -> str:
        timer = threading.Timer(_START_SECONDS, self._process.terminate)
        timer.start()
        try:
            assert self._process.stdout is not None
            for line in self._process.stdout:
                if match := _ADDRESS.search(line):
                    # Whatever else it prints must not fill the pipe.
                    self._reader = threading.Thread(target=self._process.stdout.read, daemon=True)
                    self._reader.start()
                    return match[0]
        finally:
            timer.cancel()
        self._process.wait()
        self._text.seek(0)
        raise RoiRayError(f"the service did not start: {last_line(self._text.read())}")

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._close()

    def _close(self) -> None:
        self._process.wait()
        if self._reader is not None:
            self._reader.join()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._text.close()


def serve_command(threads: int) -> list[str]:
    """Return the command of a service on this machine's CPUs, at any free port.

    Its caches are small enough to be full after the first minutes, so that memory can be flat.
    """
    command = [sys.executable, "-m", "roi_ray", "serve", "--port", "0", "--device", "cpu"]
    command += ["--threads", str(threads), "--log-level", "warning"]
    return [*command, "--prepared-bytes", "512MiB", "--reference-bytes", "32MiB"]


class MemorySampler(threading.Thread):
    """A thread that samples the resident memory of a process and its descendants.

    A context; it stops with it.

    Args:
        pid: number of the process; None to sample nothing.

    Attributes:
        sampled: is set when there is a sample.
    """

    def __init__(self, pid: int | None) -> None:
        super().__init__(daemon=True)
        self._pid = pid
        self._samples: dict[str, list[tuple[float, float]]] = defaultdict(list)
        self._finished = threading.Event()
        self.sampled = threading.Event()

    def run(self) -> None:
        """Sample until the context ends."""
        while self._pid is not None and not self._finished.wait(_SAMPLE_SECONDS):
            now = time.monotonic()
            for name, mib in _read_memory(self._pid).items():
                self._samples[name].append((now, mib))
            self.sampled.set()

    def summarise(self) -> list[ProcessMemory]:
        """Return the memory of each process that lived to the end, largest first."""
        latest = max((samples[-1][0] for samples in self._samples.values()), default=0.0)
        memory = [
            summarise_memory(name, samples)
            for name, samples in self._samples.items()
            if samples[-1][0] == latest
        ]
        return sorted(memory, key=lambda process: -process.end_mib)

    def __enter__(self) -> "MemorySampler":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._finished.set()
        self.join()


def summarise_memory(name: str, samples: Sequence[tuple[float, float]]) -> ProcessMemory:
    """Summarise samples of one process.

    Args:
        name: what the process is.
        samples: times in seconds, and MiB; at least one.
    """
    times, sizes = np.array(samples).T
    tenth, half = -(-len(sizes) // 10), len(sizes) // 2
    slope = 0.0
    if len(sizes) - half > 1:
        slope = 60 * float(np.polyfit(times[half:] - times[half], sizes[half:], 1)[0])
    start, end = float(np.median(sizes[:tenth])), float(np.median(sizes[-tenth:]))
    return ProcessMemory(name, start, end, slope)


def _read_memory(pid: int) -> dict[str, float]:
    """Return the resident memory in MiB of a process and its descendants, by name."""
    sizes: dict[str, float] = defaultdict(float)
    for process in list_descendants(pid):
        folder = _PROC / str(process)
        name = _name(folder)
        if name and (resident := read_status(folder).get("VmRSS")):
            sizes["roi-ray serve" if process == pid else name] += resident
    return dict(sizes)


def _name(process: Path) -> str:
    """Return a short name of a process, such as `ServeReplica:roi-ray:Api`; empty if it ended."""
    try:
        arguments = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return ""
    if arguments[0].startswith("ray::"):
        # While it works, the name of the method follows that of the actor.
        return arguments[0].removeprefix("ray::").split(".")[0].split("(")[0].strip()
    words = [
        Path(word).name for word in arguments if word.endswith((".py", "/gcs_server", "raylet"))
    ]
    return words[0] if words else Path(arguments[0]).name
