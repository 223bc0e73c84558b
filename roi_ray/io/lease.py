"""A small file that is changed by compare-and-swap: what the output lock is made of.

A change names the version that it replaces, and the storage refuses it if the file has another
version by then. Who may change the file is so decided by the storage, not by the one who asks.

    storage                         how a change is refused
    S3 with conditional requests    `If-None-Match`, `If-Match` (`roi_ray.io.s3_lease`)
    local and network folders       `flock` on a file beside it, and a hard link to create it
    any other                       not at all: `UnconditionalLease` reads the file again

On NFS, the hard link is exclusive everywhere. `flock` excludes the jobs of other machines too,
unless the folder is mounted with `nolock` or `local_lock`: there, two machines that replace the
same version at the same moment may both succeed.
"""

import errno
import fcntl
import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from roi_ray.errors import AccessError, StorageError, StorageUnavailable
from roi_ray.io import storage

CONFIRM_SECONDS = 0.5
"""Without conditions, a file is read again after this long: another job may have written too."""
_MUTEX_SECONDS = 30.0
"""A change takes milliseconds. A process that needs longer is suspended."""
_MUTEX_POLL_SECONDS = 0.02
# The file system has no `flock`, or needs a lock server that does not answer.
_NO_FLOCK = {errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK, errno.EBADF, errno.EINVAL}


@dataclass(frozen=True)
class Stored:
    """The content of a lease, and the version to name when replacing or deleting it."""

    data: bytes
    version: str


class Lease(Protocol):
    """A file that is changed by compare-and-swap.

    All methods raise the errors of `roi_ray.io.storage`. A change that raised, or that was refused,
    may have happened: the answer to it can be lost. `read` tells.
    """

    def read(self) -> Stored | None:
        """Return the present content; None if the file does not exist."""

    def create(self, data: bytes) -> str | None:
        """Write the file if it does not exist; return its version, or None if it was refused."""

    def replace(self, data: bytes, version: str) -> str | None:
        """Write the file if it has this version; return the new one, or None if refused."""

    def delete(self, version: str) -> bool:
        """Delete the file if it has this version; return whether it was deleted."""

    def close(self) -> None:
        """Close connections, and remove folders that the lease has made, if nothing is in them."""


def open_lease(uri: str) -> Lease:
    """Open the lease that suits a storage; a storage that ignores conditions is found by trying.

    Raises:
        StorageError: the storage cannot be written.
    """
    if not storage.is_remote(uri):
        return LocalLease(uri)
    if storage.scheme(uri) != "s3":
        return UnconditionalLease(uri)
    from roi_ray.io.s3_lease import open_s3_lease  # s3fs takes a second to import

    return open_s3_lease(uri) or UnconditionalLease(uri)


def read_file(uri: str) -> Stored | None:
    """Return the content of a lease without opening it for changes; None if there is no file."""
    if not storage.is_file(uri):
        return None
    try:
        data = storage.read_bytes(uri)
    except (AccessError, StorageUnavailable):  # the file may exist
        raise
    except StorageError:
        if storage.is_file(uri):
            raise
        return None  # deleted a moment ago
    return Stored(data, _version_of(data))


class UnconditionalLease:
    """A lease on storage that cannot refuse a change.

    Two jobs that change the file within the same moment may both believe that they were alone. The
    one whose content was overwritten learns it when it reads the file next.
    """

    def __init__(self, uri: str) -> None:
        self._uri = uri

    def read(self) -> Stored | None:
        """Return the present content; None if the file does not exist."""
        return read_file(self._uri)

    def create(self, data: bytes) -> str | None:
        """Write the file if it does not exist."""
        return self._write(data) if self.read() is None else None

    def replace(self, data: bytes, version: str) -> str | None:
        """Write the file if it has this version."""
        return self._write(data) if self._has(version) else None

    def delete(self, version: str) -> bool:
        """Delete the file if it has this version."""
        if not self._has(version):
            return False
        storage.delete(self._uri)
        return True

    def close(self) -> None:
        """Do nothing: the storage pools its connections."""

    def _has(self, version: str) -> bool:
        stored = self.read()
        return stored is not None and stored.version == version

    def _write(self, data: bytes) -> str | None:
        storage.write_bytes(self._uri, data)
        time.sleep(CONFIRM_SECONDS)
        return _version_of(data) if self._has(_version_of(data)) else None


class LocalLease(UnconditionalLease):
    """A lease on a local or network file system.

    Args:
        uri: local path or `file://` URI; missing folders are created.
    """

    def __init__(self, uri: str) -> None:
        super().__init__(uri)
        self._is_exclusive = False
        self._path = Path(storage.local_path(uri))
        # It stays when the lease ends: a job may wait for a mutex that another one deletes.
        self._mutex = self._path.with_name(f".{self._path.name}.mutex")
        self._made = [folder for folder in self._path.parents if not folder.exists()]

    def create(self, data: bytes) -> str | None:
        """Write the file if it does not exist. Readers never see a part of it."""
        with self._exclude_others():
            return _version_of(data) if storage.create_file(self._uri, data) else None

    def replace(self, data: bytes, version: str) -> str | None:
        """Write the file if it has this version."""
        with self._exclude_others():
            return super().replace(data, version)

    def delete(self, version: str) -> bool:
        """Delete the file if it has this version."""
        with self._exclude_others():
            return super().delete(version)

    def close(self) -> None:
        """Remove the folders that the lease has made, if only the mutex is in them.

        A job that waits for this mutex can only be one that creates the file, which is exclusive
        also without the mutex.
        """
        if self._made and self._is_unused():
            with self._exclude_others(), suppress(OSError):
                if self._is_unused():
                    self._mutex.unlink()
                    for folder in self._made:
                        folder.rmdir()

    def _is_unused(self) -> bool:
        try:
            return os.listdir(self._path.parent) == [self._mutex.name]
        except OSError:
            return False

    def _write(self, data: bytes) -> str | None:
        if not self._is_exclusive:
            return super()._write(data)
        storage.write_bytes(self._uri, data)
        return _version_of(data)

    @contextmanager
    def _exclude_others(self) -> Iterator[None]:
        """Hold the mutex. The system releases it if this process dies."""
        with storage.explained_errors("lock", self._uri):
            descriptor = _open_mutex(self._mutex)
        try:
            self._is_exclusive = self._acquire(descriptor)
            yield
        finally:
            os.close(descriptor)

    def _acquire(self, descriptor: int) -> bool:
        """Wait for the mutex; return False if the file system has none."""
        deadline = time.monotonic() + _MUTEX_SECONDS
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise StorageUnavailable(
                        f"cannot lock {self._uri}: another process has held {self._mutex} for "
                        f"{_MUTEX_SECONDS:.0f} s; it may be suspended: continue or stop it"
                    ) from None
                time.sleep(_MUTEX_POLL_SECONDS)
            except OSError as error:
                if error.errno in _NO_FLOCK:
                    return False
                raise StorageError(f"cannot lock {self._mutex}: {error.strerror}") from error
            else:
                return True


def _open_mutex(path: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)  # NFS needs it writable
    except PermissionError:  # made by another user, in a folder that both may write to
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:  # another job removed the folder that it had made
        return _open_mutex(path)


def _version_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
