"""Run one command, watch it and everything it starts, and report: `python -I -S launcher.py`.

A program of its own that imports little, for two reasons. Linux counts the memory of the process
that forks into the peak of the forked one: a command that is started by a large process seems large
itself. And a process that adopts orphans (a child subreaper, prctl(2)) gets hold of everything that
a command starts, even in another session, which a worker with other children should not be.

It reads a request (one line of JSON) from standard input, which stays open: its end means that the
worker has died or has given up. It writes a report (JSON) to standard output, and always ends the
command and everything that it started before.

Request: `path`, `arguments`, `environment`, `folder`, `seconds` (wall time), `file_bytes` (largest
file), `memory_bytes` (resident, of all processes together; or null), `parent` (process id).
Report: `end` ("exit", "time", "memory" or "abandoned"), `status` (exit code, or minus the signal),
`seconds` (user + system), `launcher_seconds` (the same of this program), `memory` (bytes), `stdout`
and `stderr` (their last bytes, Latin-1), `left` (whether a process could not be ended). Or `errno`,
if the command could not be started; or `failure`, if the launcher failed.
"""

import contextlib
import ctypes
import json
import os
import resource
import select
import signal
import sys
import time
from typing import Any

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_TAIL_BYTES = 1 << 14
_CHUNK_BYTES = 1 << 16
_MOST_LATE_CHUNKS = 32
"""Chunks that are read after the end; an escaped process might write for ever."""
_SECONDS_TO_END_ALL = 10.0
_SECONDS_BETWEEN_SAMPLES = 0.1


class Watch:
    """A command that runs, its output, and why it is to end."""

    def __init__(self, request: dict[str, Any]) -> None:
        self.request = request
        self.tails: dict[int, bytes] = {}
        self.stopped = False
        self.wake_reader, wake_writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake_writer, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, self._stop)

    def _stop(self, *_: object) -> None:
        self.stopped = True

    def run(self) -> dict[str, Any]:
        """Run the command; return the report."""
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)
        _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != self.request["parent"]:
            return {"end": "abandoned"}
        (out, out_writer), (err, err_writer) = os.pipe(), os.pipe()
        deadline = time.monotonic() + self.request["seconds"]
        try:
            pid = _start(self.request, out_writer, err_writer)
        except OSError as error:
            return {"errno": error.errno, "failure": error.strerror}
        os.close(out_writer)
        os.close(err_writer)
        for reader in (out, err):
            os.set_blocking(reader, False)
            self.tails[reader] = b""
        end = self._wait(pid, deadline)
        report = {"end": end, **_end_all(pid)}
        for reader in (out, err):
            for _ in range(_MOST_LATE_CHUNKS):
                if not self._drain(reader):
                    break
        texts = {"stdout": self.tails[out], "stderr": self.tails[err]}
        return {**report, **{name: tail.decode("latin-1") for name, tail in texts.items()}}

    def _wait(self, pid: int, deadline: float) -> str:
        """Wait until the command has ended or is to end; say which."""
        poll = select.poll()
        for reader in (0, self.wake_reader, *self.tails):
            poll.register(reader, select.POLLIN)
        limit = self.request["memory_bytes"]
        # Not reaped yet, so that its process group keeps its number.
        flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
        while os.waitid(os.P_PID, pid, flags) is None:
            seconds = deadline - time.monotonic()
            if seconds <= 0:
                return "time"
            if self.stopped:
                return "abandoned"
            if limit is not None:
                if _count_resident_bytes() > limit:
                    return "memory"
                seconds = min(seconds, _SECONDS_BETWEEN_SAMPLES)
            for reader, _ in poll.poll(1000 * min(seconds, 3600)):
                if reader == self.wake_reader:
                    os.read(reader, _CHUNK_BYTES)
                elif reader == 0:
                    return "abandoned"
                elif not self._drain(reader):
                    poll.unregister(reader)
        return "exit"

    def _drain(self, reader: int) -> bool:
        """Read what there is and keep the last bytes; return whether there may be more."""
        try:
            chunk = os.read(reader, _CHUNK_BYTES)
        except BlockingIOError:
            return False
        self.tails[reader] = (self.tails[reader] + chunk)[-_TAIL_BYTES:]
        return bool(chunk)


def _prctl(option: int, value: int) -> None:
    """Set an attribute of this process, where the system has prctl(2)."""
    with contextlib.suppress(AttributeError):
        ctypes.CDLL(None).prctl(option, ctypes.c_ulong(value), 0, 0, 0)


def _start(request: dict[str, Any], out: int, err: int) -> int:
    """Start the command; return its process id.

    Raises:
        OSError: it could not be started.
    """
    reader, writer = os.pipe()  # closed by a successful exec
    launcher = os.getpid()
    pid = os.fork()
    if pid == 0:
        try:
            _become(request, launcher, out, err)
        except OSError as error:
            os.write(writer, str(error.errno).encode())
        finally:
            os._exit(127)
    os.close(writer)
    with open(reader, "rb") as stream:
        failure = stream.read()
    if failure:
        os.waitpid(pid, 0)
        raise OSError(int(failure), os.strerror(int(failure)))
    return pid


def _become(request: dict[str, Any], launcher: int, out: int, err: int) -> None:
    """Turn this process, which was just forked, into the command."""
    os.setsid()
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != launcher:
        return
    signal.set_wakeup_fd(-1)
    # Python ignores some signals, and a command would inherit that.
    for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    os.chdir(request["folder"])
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(out, 1)
    os.dup2(err, 2)
    _limit(resource.RLIMIT_FSIZE, request["file_bytes"])
    _limit(resource.RLIMIT_CORE, 0)
    os.execve(request["path"], request["arguments"], request["environment"])


def _limit(kind: int, value: int) -> None:
    """Lower a limit of this process, soft and hard."""
    hard = resource.getrlimit(kind)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (value, value))


def _end_all(pid: int) -> dict[str, Any]:
    """Kill what is left of a command; return its status, its times and its memory."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    report: dict[str, Any] = {"status": None, "seconds": 0.0, "memory": 0, "left": False}
    end = time.monotonic() + _SECONDS_TO_END_ALL
    while True:
        try:
            child, status, usage = os.wait4(-1, os.WNOHANG)
        except ChildProcessError:
            return report
        if child:
            if child == pid:
                report["status"] = os.waitstatus_to_exitcode(status)
            report["seconds"] += usage.ru_utime + usage.ru_stime
            report["memory"] = max(report["memory"], usage.ru_maxrss * 1024)
            continue
        if time.monotonic() > end:
            return {**report, "left": True}
        # Orphans become children of this process, also those in sessions of their own.
        for descendant in _find_descendants():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(descendant, signal.SIGKILL)
        time.sleep(0.002)


def _find_descendants() -> list[int]:
    """Find everything that this process has started, directly or not."""
    children: dict[int, list[int]] = {}
    for pid in (int(name) for name in os.listdir("/proc") if name.isdigit()):
        with contextlib.suppress(OSError, IndexError), open(f"/proc/{pid}/stat", "rb") as stream:
            # The parent follows the command's name, in brackets, and the state; see proc(5). The
            # name itself may contain brackets and spaces.
            parent = int(stream.read().rpartition(b")")[2].split()[1])
            children.setdefault(parent, []).append(pid)
    descendants = children.get(os.getpid(), [])
    for pid in descendants:
        descendants.extend(children.get(pid, ()))
    return descendants


def _count_resident_bytes() -> int:
    """Return the resident memory of all descendants together; shared pages count for each."""
    pages = 0
    for pid in _find_descendants():
        with contextlib.suppress(OSError), open(f"/proc/{pid}/statm", "rb") as stream:
            pages += int(stream.read().split()[1])
    return pages * resource.getpagesize()


def _main() -> None:
    """Serve one request."""
    report_writer = os.dup(1)
    try:
        request = json.loads(sys.stdin.buffer.readline())
        report = Watch(request).run()
    except Exception as error:
        report = {"failure": f"{type(error).__name__}: {error}"}
    if report.get("end") == "abandoned":
        import shutil  # slow, and seldom needed

        shutil.rmtree(request["folder"], ignore_errors=True)
    report["launcher_seconds"] = time.process_time()
    with contextlib.suppress(BrokenPipeError), open(report_writer, "w") as stream:
        stream.write(json.dumps(report))
    os._exit(0)  # leaves out Python's cleaning up, whose time would not be in the report


if __name__ == "__main__":
    _main()
