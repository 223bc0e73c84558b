"""One job at a time writes to an output.

    OUTPUT/_run/lock.json   who writes here, and a number that goes up as long as it lives

Clocks of two machines need not agree, so no time stands in the lease. Who finds one watches it: if
its number goes up, its owner lives; if it does not for as long as a lease lasts, the owner is dead.
On the owner's machine its process is looked for first, which needs no waiting.

Storage without locks leaves a gap in which two jobs that start at the same moment may both take the
lease. The one that was overwritten finds out at its next beat and stops. Until then both write the
same shards under the same names: twice the work, but nothing twice in the output.
"""

import json
import os
import socket
import threading
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType

from roi_ray.errors import OutputError, StorageError
from roi_ray.io import storage

TIMEOUT_SECONDS = 30.0
"""Seconds without a beat after which an owner counts as dead."""
_HEARTBEAT_SECONDS = TIMEOUT_SECONDS / 3
_POLL_SECONDS = 1.0
_CONFIRM_SECONDS = 0.5


@dataclass(frozen=True)
class _Held:
    """What stands in the file."""

    owner: str
    host: str
    pid: int
    beat: int
    machine: str = ""

    def is_dead(self) -> bool:
        """Whether the owner ran on this machine and is gone."""
        if self.machine != _machine():
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except OSError:
            return False
        return False


class OutputLock:
    """Held while a job writes to an output; a context manager.

    Args:
        uri: of the lease's file.

    Raises:
        OutputError: on entry, another job holds the lease.
    """

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._mine = _Held(uuid.uuid4().hex, socket.gethostname(), os.getpid(), 0, _machine())
        self._over = threading.Event()
        self._lost = False
        self._thief: _Held | None = None
        self._heart = threading.Thread(target=self._beat_on, daemon=True)

    def check(self) -> None:
        """Raises OutputError if another job has taken the lease."""
        if self._lost:
            who = "another job" if self._thief is None else _who(self._thief)
            raise OutputError(f"{self._where()}: {who} has taken over; this job stops")

    def __enter__(self) -> "OutputLock":
        if (held := _living(self._uri)) is not None:
            raise self._refusal(held)
        self._write(0)
        time.sleep(_CONFIRM_SECONDS)  # another job may have found the place free at the same moment
        if (held := _read(self._uri)) is None or held.owner != self._mine.owner:
            raise self._refusal(held)
        self._heart.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._over.set()
        self._heart.join()
        with suppress(StorageError):  # it is void soon, and must not hide what went wrong
            # A job that was stopped for a while may have lost it, and not have seen that yet.
            if (held := _read(self._uri)) is not None and held.owner == self._mine.owner:
                storage.delete(self._uri)

    def _beat_on(self) -> None:
        beat = 0
        while not self._over.wait(_HEARTBEAT_SECONDS):
            try:
                held = _read(self._uri)
                # Who took over while this process was stopped may have ended since.
                gone = held is None and not storage.is_file(self._uri)
                if gone or (held is not None and held.owner != self._mine.owner):
                    self._lost, self._thief = True, held
                    return
                beat += 1
                self._write(beat)
            except StorageError:
                continue  # the next beat may reach the storage again

    def _write(self, beat: int) -> None:
        mine = {**vars(self._mine), "beat": beat}
        storage.write_bytes(self._uri, (json.dumps(mine) + "\n").encode())

    def _refusal(self, held: _Held | None) -> OutputError:
        who = "another job" if held is None else _who(held)
        return OutputError(
            f"{self._where()}: {who} is writing there; let it end, or stop it, or name another "
            "--output"
        )

    def _where(self) -> str:
        return storage.parent(storage.parent(self._uri))


def current_writer(uri: str) -> str | None:
    """Who is writing to an output now, or None; takes the time of a beat, or of the lease's end.

    Args:
        uri: of the lease's file.
    """
    held = _living(uri)
    return None if held is None else _who(held)


def _living(uri: str) -> _Held | None:
    """Who holds the lease and is seen to live; None when it is certain that nobody does."""
    first = held = _read(uri)
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while held is not None and not held.is_dead() and time.monotonic() < deadline:
        if held != first:
            return held
        time.sleep(_POLL_SECONDS)
        held = _read(uri)
    return None


def _read(uri: str) -> _Held | None:
    if not storage.is_file(uri):
        return None
    try:
        return _Held(**json.loads(storage.read_bytes(uri)))
    except (StorageError, TypeError, ValueError):
        return None  # released just now, or no lease of ours


def _machine() -> str:
    """Where a process's number means a process: not in another container of the same name."""
    try:
        with open("/proc/sys/kernel/random/boot_id") as file:
            return f"{file.read().strip()} {os.readlink('/proc/self/ns/pid')}"
    except OSError:  # not Linux
        return socket.gethostname()


def _who(held: _Held) -> str:
    return f"a job on {held.host} (process {held.pid})"
