"""Write local files so that readers, and other machines on NFS, never see a part of one."""

import errno
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_NO_HARD_LINKS = {errno.EPERM, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}


def replace_file(path: str, data: bytes | memoryview) -> None:
    """Write a file, in place of the one that exists. Missing folders are created.

    Raises:
        OSError: the file cannot be written.
    """
    with _partial_file(path, data) as partial:
        os.replace(partial, path)


def create_file(path: str, data: bytes) -> bool:
    """Write a file unless it exists; return whether it was written.

    If several processes try at the same time, exactly one succeeds, also on NFS. On a file system
    without hard links, two may succeed. Missing folders are created.

    Raises:
        OSError: the file cannot be written.
    """
    with _partial_file(path, data) as partial:
        try:
            os.link(partial, path)
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno not in _NO_HARD_LINKS:
                raise
            if os.path.exists(path):
                return False
            os.replace(partial, path)
        return True


@contextmanager
def _partial_file(path: str, data: bytes | memoryview) -> Iterator[str]:
    """Write a file's content under another name beside it; delete what is left at the end."""
    folder, name = os.path.split(path)
    os.makedirs(folder, exist_ok=True)
    partial = os.path.join(folder, f".{name}.{uuid.uuid4().hex}")  # listings leave it out
    try:
        with open(partial, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        yield partial
    finally:
        with suppress(FileNotFoundError):
            os.unlink(partial)
