"""A lock that lets one job at a time write to an output.

    OUTPUT/_run/lock.json   which job holds the lock, and a counter that grows while it lives

The clocks of two machines may differ, so the file contains no time. A job that finds a lock watches
its counter. If the counter grows, the holder is alive and the new job is refused. If it does not
grow for `TIMEOUT_SECONDS`, the holder is dead and the new job takes over. On the holder's own
machine, the new job looks for the holder's process first and need not wait.

Known gap: on storage without conditional writes, two jobs that start at the same moment may both
take the lock. The one whose file was overwritten notices at its next heartbeat and stops. Until
then both write the same shards under the same names: some work is done twice, but no row of the
output is lost or doubled.
"""

import json
import os
import socket
import threading
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass, replace
from types import TracebackType

from roi_ray.errors import AccessError, OutputError, StorageError, StorageUnavailable
from roi_ray.io import storage

TIMEOUT_SECONDS = 30.0
"""A holder counts as dead after this many seconds without a heartbeat."""
_HEARTBEAT_SECONDS = TIMEOUT_SECONDS / 3
_POLL_SECONDS = 1.0
_CONFIRM_SECONDS = 0.5


@dataclass(frozen=True)
class _Holder:
    """The content of a lock file.

    Attributes:
        owner: unique name of the job.
        host: name of its machine.
        pid: id of its process.
        heartbeat: counter that grows while the job lives.
        machine: identity of the machine or container in which `pid` is valid; "" if unknown.
    """

    owner: str
    host: str
    pid: int
    heartbeat: int
    machine: str = ""

    def __str__(self) -> str:
        return f"a job on {self.host} (process {self.pid})"

    def is_known_dead(self) -> bool:
        """Return whether the job ran on this machine and its process has ended."""
        if self.machine != _this_machine():
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except OSError:
            return False
        return False


class OutputLock:
    """The right to write to an output, for as long as the `with` block runs.

    Args:
        uri: the lock file.

    Raises:
        OutputError: on entry, if another job holds the lock.
        StorageError: on entry, if the lock cannot be read or written.
    """

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._holder = _Holder(
            uuid.uuid4().hex, socket.gethostname(), os.getpid(), 0, _this_machine()
        )
        self._released = threading.Event()
        self._lost = False
        self._new_holder: _Holder | None = None
        self._thread = threading.Thread(target=self._keep_alive, daemon=True)

    def check(self) -> None:
        """Check that this job still holds the lock.

        Raises:
            OutputError: another job has taken over.
        """
        if self._lost:
            holder = self._new_holder or "another job"
            raise OutputError(f"{self._output()}: {holder} has taken over; this job stops")

    def __enter__(self) -> "OutputLock":
        if (holder := _find_live_holder(self._uri)) is not None:
            raise self._refusal(holder)
        self._write(self._holder)
        time.sleep(_CONFIRM_SECONDS)  # another job may have found the lock free too
        holder = _read(self._uri)
        if not self._is_mine(holder):
            raise self._refusal(holder)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._released.set()
        self._thread.join()
        # A lock that cannot be deleted times out, and must not hide the job's own error.
        with suppress(StorageError):
            # After a pause of the process, the lock may belong to another job already.
            if self._is_mine(_read(self._uri)):
                storage.delete(self._uri)

    def _keep_alive(self) -> None:
        heartbeat = 0
        while not self._released.wait(_HEARTBEAT_SECONDS):
            try:
                holder = _read(self._uri)
                # A job that took over while this process was paused may have ended since.
                is_gone = holder is None and not storage.is_file(self._uri)
                if is_gone or (holder is not None and not self._is_mine(holder)):
                    self._lost, self._new_holder = True, holder
                    return
                heartbeat += 1
                self._write(replace(self._holder, heartbeat=heartbeat))
            except StorageError:
                continue  # the storage may work again at the next heartbeat

    def _is_mine(self, holder: _Holder | None) -> bool:
        return holder is not None and holder.owner == self._holder.owner

    def _write(self, holder: _Holder) -> None:
        storage.write_bytes(self._uri, (json.dumps(vars(holder)) + "\n").encode())

    def _refusal(self, holder: _Holder | None) -> OutputError:
        return OutputError(
            f"{self._output()}: {holder or 'another job'} is writing there; wait for it, stop it, "
            "or choose another --output"
        )

    def _output(self) -> str:
        return storage.parent(storage.parent(self._uri))


def current_writer(uri: str) -> str | None:
    """Describe the job that is writing to an output; None if there is none.

    Waits for the job's next heartbeat, or until the lock of a dead job times out.

    Args:
        uri: the lock file.
    """
    holder = _find_live_holder(uri)
    return None if holder is None else str(holder)


def _find_live_holder(uri: str) -> _Holder | None:
    """Return the holder of a lock once its heartbeat is seen; None once it is known to be dead."""
    first = holder = _read(uri)
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while holder is not None and not holder.is_known_dead() and time.monotonic() < deadline:
        if holder != first:
            return holder
        time.sleep(_POLL_SECONDS)
        holder = _read(uri)
    return None


def _read(uri: str) -> _Holder | None:
    """Return the holder of a lock; None if the file does not exist or is not a lock."""
    if not storage.is_file(uri):
        return None
    try:
        return _Holder(**json.loads(storage.read_bytes(uri)))
    except (AccessError, StorageUnavailable):  # another job may hold the lock
        raise
    except (StorageError, TypeError, ValueError):  # StorageError: released a moment ago
        return None


def _this_machine() -> str:
    """Return a name that two containers with the same host name do not share."""
    try:
        with open("/proc/sys/kernel/random/boot_id") as file:
            return f"{file.read().strip()} {os.readlink('/proc/self/ns/pid')}"
    except OSError:  # not Linux
        return socket.gethostname()
