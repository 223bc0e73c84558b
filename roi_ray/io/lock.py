"""A lock that lets one job at a time write to an output.

    OUTPUT/_run/lock.json   which job holds the lock, and a counter that grows while it lives

The clocks of two machines may differ, so the file contains no time. A job that finds a lock watches
its counter. If the counter grows, the holder is alive and the new job is refused. If it does not
grow for `TIMEOUT_SECONDS`, the holder is dead and the new job takes over. On the holder's own
machine, the new job looks for the holder's process first and need not wait.

All changes of the file are conditional (`roi_ray.io.lease`): a job takes a free lock only if there
is still none, and writes a heartbeat, takes over or releases only if the file is still as it last
saw it. So at most one job holds the lock. A job that was suspended for longer than the timeout
finds out before it writes, and stops.

Known gap, on storage that cannot refuse a change: two jobs that start at the same moment may both
take the lock. The one whose file was overwritten notices at its next heartbeat and stops. Until
then both write the same shards under the same names: some work is done twice, but no row of the
output is lost or doubled.
"""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from types import TracebackType
from typing import TypeGuard

from roi_ray.errors import OutputError, StorageError, StorageUnavailable
from roi_ray.io import lease, storage
from roi_ray.io.lease import Lease, Stored
from roi_ray.io.lock_holder import Holder, describe_this_job, parse_holder

TIMEOUT_SECONDS = 30.0
"""A holder counts as dead after this many seconds without a heartbeat."""
_HEARTBEAT_SECONDS = TIMEOUT_SECONDS / 3
_POLL_SECONDS = 1.0
_RENEWAL_ATTEMPTS = 3


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
        self._holder = describe_this_job()
        self._released = threading.Event()
        self._renewing = threading.Lock()
        self._lost = False
        self._new_holder: Holder | None = None
        self._thread = threading.Thread(target=self._keep_alive, daemon=True)
        self._lease: Lease
        self._version = ""
        self._renewed = 0.0

    def check(self) -> None:
        """Check that this job still holds the lock.

        Call it right before each write. If the last heartbeat is so old that another job may soon
        take over (this process was suspended, or the storage is slow), it renews the lock first.

        Raises:
            OutputError: another job has taken over.
            StorageError: the lock has to be renewed and cannot be.
        """
        if _clock() - self._renewed > TIMEOUT_SECONDS - _HEARTBEAT_SECONDS:
            self._renew()
        if self._lost:
            holder = self._new_holder or "another job"
            raise OutputError(f"{self._output()}: {holder} has taken over; this job stops")

    def __enter__(self) -> "OutputLock":
        self._lease = lease.open_lease(self._uri)
        try:
            self._take()
        except BaseException:
            self._lease.close()
            raise
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
            if not self._lost and not self._lease.delete(self._version):
                self._delete_other_version()
        self._lease.close()

    def _take(self) -> None:
        """Take the lock if it is free, or that of a dead job.

        Raises:
            OutputError: another job holds the lock, or was faster.
        """
        data = self._holder.encode()
        while not self._version:
            stored, is_alive = _watch(self._lease.read)
            if is_alive:
                raise self._refusal(stored)
            self._renewed = _clock()
            if stored is None:
                version = self._lease.create(data)
            else:
                version = self._lease.replace(data, stored.version)
            if version is None:
                stored = self._lease.read()
                if stored is not None and stored.data != data:
                    raise self._refusal(stored)
                # The write succeeded and its answer was lost; or another job came and went.
                version = stored.version if stored else ""
            self._version = version

    def _keep_alive(self) -> None:
        while not self._released.wait(_HEARTBEAT_SECONDS) and not self._lost:
            # If the storage fails, it may work again at the next heartbeat.
            with suppress(StorageError):
                self._renew()

    def _renew(self) -> None:
        """Write a heartbeat, or find out that the lock is lost.

        Raises:
            StorageError: the heartbeat cannot be written.
        """
        with self._renewing:
            if self._lost:
                return
            self._holder = replace(self._holder, heartbeat=self._holder.heartbeat + 1)
            data = self._holder.encode()
            for _ in range(_RENEWAL_ATTEMPTS):
                started = _clock()
                version = self._lease.replace(data, self._version)
                if version is not None:
                    self._version, self._renewed = version, started
                    return
                stored = self._lease.read()
                if not self._is_mine(stored):
                    self._lost, self._new_holder = True, _parse(stored)
                    return
                # An earlier write succeeded, but its answer was lost.
                self._version = stored.version
            raise StorageUnavailable(
                f"cannot renew {self._uri}: the storage refused it {_RENEWAL_ATTEMPTS} times, "
                "although no other job has changed it"
            )

    def _delete_other_version(self) -> None:
        stored = self._lease.read()
        if self._is_mine(stored):  # the answer to the last heartbeat was lost
            self._lease.delete(stored.version)

    def _is_mine(self, stored: Stored | None) -> TypeGuard[Stored]:
        holder = _parse(stored)
        return holder is not None and holder.owner == self._holder.owner

    def _refusal(self, stored: Stored | None) -> OutputError:
        return OutputError(
            f"{self._output()}: {_parse(stored) or 'another job'} is writing there; wait for it, "
            "stop it, or choose another --output"
        )

    def _output(self) -> str:
        return storage.parent(storage.parent(self._uri))


def current_writer(uri: str) -> str | None:
    """Describe the job that is writing to an output; None if there is none.

    Waits for the job's next heartbeat, or until the lock of a dead job times out.

    Args:
        uri: the lock file.
    """
    stored, is_alive = _watch(lambda: lease.read_file(uri))
    return str(_parse(stored)) if is_alive else None


def _watch(read: Callable[[], Stored | None]) -> tuple[Stored | None, bool]:
    """Watch a lock until its holder is seen to live, or is known to be dead.

    Returns:
        the lock as last read, None if there is none; and whether its holder lives.
    """
    first = stored = read()
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while (holder := _parse(stored)) is not None and not holder.is_known_dead():
        if stored != first:
            return stored, True
        if time.monotonic() >= deadline:
            break
        time.sleep(_POLL_SECONDS)
        stored = read()
    return stored, False


def _parse(stored: Stored | None) -> Holder | None:
    return None if stored is None else parse_holder(stored.data)


def _clock() -> float:
    """Return seconds that go on while the process is stopped and while the machine sleeps."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
