"""Run a command by `launcher.py`: with limits, and so that nothing of it remains."""

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

FOLDER_VARIABLE = "ROI_RAY_FOLDER"
"""Environment variable of every command: its working folder, by which its processes are known."""

_LAUNCHER = Path(__file__).with_name("launcher.py")
_SECONDS_TO_REPORT = 30.0
"""How much later than a command's time limit its launcher reports at the latest."""
_SECONDS_TO_KILL = 10.0


_running: set[subprocess.Popen[bytes]] = set()
"""Launchers of this process that run now."""


class LauncherDied(Exception):
    """The launcher ended without a report; its command was ended too."""


@dataclass(frozen=True)
class Limits:
    """What a command may use.

    Attributes:
        seconds: wall time.
        file_bytes: size of each file that it writes.
        memory_bytes: resident memory of all its processes together; None for no limit.
    """

    seconds: float
    file_bytes: int
    memory_bytes: int | None = None


@dataclass(frozen=True)
class Outcome:
    """How a command ended.

    Attributes:
        end: "exit"; or "time" or "memory", if it was killed for the limit.
        status: exit code, or minus the number of the signal that ended it.
        seconds: user and system time of the command and everything that it started.
        launcher_seconds: user and system time of the launcher, which is not in `seconds`.
        memory: peak resident memory in bytes, of the process with most.
        stdout: the last bytes of its standard output.
        stderr: the last bytes of its standard error.
        left: whether one of its processes could not be ended.
    """

    end: Literal["exit", "time", "memory"]
    status: int | None
    seconds: float
    launcher_seconds: float
    memory: int
    stdout: bytes
    stderr: bytes
    left: bool


def run_command(
    path: str,
    arguments: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    limits: Limits,
) -> Outcome:
    """Run a command to its end, and end everything that it started.

    Args:
        path: the program.
        arguments: all arguments; the first is the program's name.
        folder: the working folder. If this process dies, the launcher removes it.
        environment: all environment variables.
        limits: what it may use.

    Returns:
        how it ended.

    Raises:
        OSError: the command, or the launcher, could not be started.
        LauncherDied: the launcher was killed.
    """
    request = {
        "path": path,
        "arguments": list(arguments),
        "environment": {**environment, FOLDER_VARIABLE: str(folder)},
        "folder": str(folder),
        "seconds": limits.seconds,
        "file_bytes": limits.file_bytes,
        "memory_bytes": limits.memory_bytes,
        "parent": os.getpid(),
    }
    report = _launch(request, limits.seconds + _SECONDS_TO_REPORT)
    if report is None or report.get("end") == "abandoned":
        _kill_processes_of(folder)
        raise LauncherDied
    if "errno" in report:
        raise OSError(report["errno"], report["failure"])
    if "status" not in report:
        raise OSError(f"the launcher failed: {report.get('failure')}")
    return Outcome(
        report["end"],
        report["status"],
        report["seconds"],
        report["launcher_seconds"],
        report["memory"],
        report["stdout"].encode("latin-1"),
        report["stderr"].encode("latin-1"),
        report["left"],
    )


def end_commands() -> None:
    """End all commands that threads of this process are running; their calls raise LauncherDied."""
    for process in list(_running):
        assert process.stdin is not None
        with suppress(OSError):
            process.stdin.close()  # the launcher ends its command then


def _launch(request: dict[str, object], seconds: float) -> dict[str, Any] | None:
    """Run the launcher; return its report, or None if it ended without one, or not in time."""
    try:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(_LAUNCHER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,  # Ctrl-C of a terminal is for this process only
        )
    except OSError as error:
        raise OSError(f"its launcher {sys.executable}: {error.strerror}") from error
    assert process.stdin is not None and process.stdout is not None
    _running.add(process)
    try:
        with suppress(BrokenPipeError):
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.flush()
        text = _read_until_end(process.stdout.fileno(), seconds)
    finally:
        with suppress(BrokenPipeError):
            process.stdin.close()  # the launcher ends the command, if it has not done so
        process.stdout.close()
        try:
            process.wait(_SECONDS_TO_KILL)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        _running.discard(process)
    try:
        report = json.loads(text)
    except ValueError:
        return None
    return report if isinstance(report, dict) else None


def _read_until_end(reader: int, seconds: float) -> bytes:
    """Read a pipe to its end, or for a time."""
    poll = select.poll()
    poll.register(reader, select.POLLIN)
    deadline = time.monotonic() + seconds
    chunks = []
    while (left := deadline - time.monotonic()) > 0:
        if poll.poll(1000 * min(left, 3600)):
            chunk = os.read(reader, 1 << 16)
            if not chunk:
                break
            chunks.append(chunk)
    return b"".join(chunks)


def _kill_processes_of(folder: Path) -> None:
    """Kill the processes of a command whose launcher has died, known by their environment."""
    mark = f"{FOLDER_VARIABLE}={folder}".encode()
    deadline = time.monotonic() + _SECONDS_TO_KILL
    while time.monotonic() < deadline:
        running = [pid for pid in _list_processes() if mark in _read_environment(pid)]
        if not running:
            return
        for pid in running:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)


def _list_processes() -> list[int]:
    try:
        return [int(name) for name in os.listdir("/proc") if name.isdigit()]
    except FileNotFoundError:  # not on Linux
        return []


def _read_environment(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:  # ended, or another user's
        return []
