"""The working folder of a command: its input, and the output that it should have written."""

import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from roi_ray.errors import CodecError
from roi_ray.sweep.external.failures import list_names


@contextmanager
def working_folder() -> Iterator[tuple[Path, int]]:
    """Make a folder and remove it with everything in it.

    Yields:
        its path, and its descriptor: a command could put another folder in its place.

    Raises:
        CodecError: it cannot be made.
    """
    try:
        folder = tempfile.TemporaryDirectory(prefix="roi-ray-", ignore_cleanup_errors=True)
    except OSError as error:
        raise CodecError(describe_disk_error(error, tempfile.gettempdir())) from error
    path = Path(folder.name)
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield path, descriptor
    finally:
        os.close(descriptor)
        folder.cleanup()
        if path.is_symlink() or path.is_file():  # put there by the command
            path.unlink(missing_ok=True)


def write_input(folder: Path, name: str, data: bytes) -> None:
    """Write the input of a command.

    Raises:
        CodecError: it cannot be written, as when the disk is full.
    """
    try:
        (folder / name).write_bytes(data)
    except OSError as error:
        raise CodecError(describe_disk_error(error, str(folder.parent))) from error


def describe_disk_error(error: OSError, folder: str) -> str:
    """Say that working folders cannot be made or written to, and what to do."""
    return (
        f"no working folder can be written in {folder}: {error.strerror or error}; free space "
        "there, or set TMPDIR to a folder on another disk"
    )


def read_output(folder: int, name: str, source: str, limit: int) -> bytes:
    """Read the file that a command wrote. All its processes have ended.

    Args:
        folder: descriptor of its working folder.
        name: name of the file.
        source: name of its input.
        limit: bytes of the largest file that is read.

    Raises:
        CodecError: there is no such file, or it is empty, too large, a folder, or a link, which is
            not followed. The message goes on from the command.
    """
    try:
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        raise CodecError(
            f"ended well, but did not write {name}, {list_names(folder, source)}; let it write to "
            "the name that stands for {out}, before it ends"
        ) from None
    if not stat.S_ISREG(status.st_mode):
        kind = {stat.S_IFDIR: "a folder", stat.S_IFLNK: "a symbolic link"}
        found = kind.get(stat.S_IFMT(status.st_mode), "a special file")
        raise CodecError(f"ended well, but made {found} of {name}, which must be a plain file")
    if status.st_size == 0:
        raise CodecError(f"ended well, but {name} is empty")
    if status.st_size > limit:
        raise CodecError(f"wrote {status.st_size:,} bytes, more than `output_limit`, {limit:,}")
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with open(os.open(name, flags, dir_fd=folder), "rb") as stream:
            return stream.read()
    except OSError as error:
        raise CodecError(f"ended well, but {name} cannot be read: {error.strerror}") from error
