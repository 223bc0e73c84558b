"""How much memory this process may still take, and turns for work that needs more than planned.

Linux gives out more memory than there is, and kills a process when it runs out. So work on an image
that is larger than planned asks first. This module imports no torch, as decode tasks need it.
"""

import ctypes
import fcntl
import os
import resource
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from roi_ray.errors import OutOfMemory

UNKNOWN = sys.maxsize
"""What `read_available_memory` returns where the system does not tell."""

_CGROUP_ROOT = Path("/sys/fs/cgroup")
_RESERVED = 200 << 20
"""Bytes that are left to the system and other programs."""

_ADVICE = "stop other programs, or take a machine with more memory"
ADVICE_OF_JOBS = (
    "use fewer --actors if the job has several, stop other programs, take a machine with more "
    "memory, or refuse such images by --max-pixels"
)


class TurnTaken(Exception):
    """Other work on a large image is in progress on this machine: try again later."""


def read_available_memory() -> int:
    """Return the bytes that this process can still use.

    The smallest of: what the system has available, what the limits of the process's control groups
    (cgroup v1 and v2) leave, and what its limit on the address space leaves. Memory that the
    process has freed and kept counts, as it is used first.
    """
    limits = [_read_system_memory(), *_read_cgroups(), _read_address_space()]
    smallest = min(limits)
    return smallest if smallest == UNKNOWN else max(0, smallest) + _count_kept_bytes()


@contextmanager
def exclusive_memory(
    need: int, what: str, advice: str = ADVICE_OF_JOBS, *, can_wait: bool = True
) -> Iterator[None]:
    """Work on something that needs more memory than planned, one such work per machine at a time.

    Args:
        need: bytes that the work takes.
        what: what is worked on, for the message.
        advice: what to do about it, for the message.
        can_wait: whether this thread may wait for its turn.

    Raises:
        OutOfMemory: less memory is available when its turn has come.
        TurnTaken: another such work is in progress, and this thread may not wait.
    """
    with _turn(can_wait=can_wait):
        check_available_memory(need, what, advice)
        yield


def check_available_memory(need: int, what: str, advice: str = _ADVICE) -> None:
    """Check that memory suffices before it is taken.

    Args:
        need: bytes that the work takes.
        what: what is worked on, for the message.
        advice: what to do about it, for the message.

    Raises:
        OutOfMemory: less is available, apart from what is left to other programs; the message says
            how much, and what to do.
    """
    available = max(0, read_available_memory() - _RESERVED)
    if need > available:
        raise OutOfMemory(
            f"{what} needs about {format_bytes(need)} of memory, but {format_bytes(available)} "
            f"are available: {advice}"
        )


def format_bytes(count: int) -> str:
    """Write a number of bytes in megabytes or gigabytes, such as `1.3 GB`."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


@contextmanager
def _turn(*, can_wait: bool) -> Iterator[None]:
    """Hold a lock that all processes and threads of this user on this machine share."""
    path = os.path.join(tempfile.gettempdir(), f"roi-ray-{os.getuid()}-large-image.lock")
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        # The end of the process releases it, however it ends.
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if can_wait else fcntl.LOCK_NB))
        except BlockingIOError as error:
            raise TurnTaken("another large image is worked on") from error
        yield
    finally:
        os.close(file)


def _read_system_memory() -> int:
    for line in _read_lines(Path("/proc/meminfo")):
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) << 10
    return UNKNOWN


def _read_cgroups() -> Iterator[int]:
    """Yield what is left of the limit of each control group that this process is in."""
    for line in _read_lines(Path("/proc/self/cgroup")):
        number, controllers, path = line.split(":", 2)
        is_v2 = number == "0"
        if not is_v2 and "memory" not in controllers.split(","):
            continue
        root = _CGROUP_ROOT if is_v2 else _CGROUP_ROOT / "memory"
        group = root / path.lstrip("/")
        # In a container, the path may be that on the host, and the root is the process's own group.
        for folder in (group, *group.parents):
            if folder.is_relative_to(root):
                yield _read_cgroup(folder, is_v2=is_v2)


def _read_cgroup(folder: Path, *, is_v2: bool) -> int:
    """Return what is left of the limit of a control group; its page cache counts as free."""
    limit_name, usage_name, cache_name = (
        ("memory.max", "memory.current", "inactive_file")
        if is_v2
        else ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
    )
    try:
        limit = (folder / limit_name).read_text().strip()
        used = int((folder / usage_name).read_text())
    except (OSError, ValueError):
        return UNKNOWN
    if not limit.isdigit():  # max
        return UNKNOWN
    for line in _read_lines(folder / "memory.stat"):
        if line.startswith(f"{cache_name} "):
            used -= int(line.split()[1])
    return int(limit) - used


def _read_address_space() -> int:
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    pages = _read_lines(Path("/proc/self/statm"))
    if limit == resource.RLIM_INFINITY or not pages:
        return UNKNOWN
    return int(limit) - int(pages[0].split()[0]) * resource.getpagesize()


def _read_lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []


class _MallocInfo(ctypes.Structure):
    """`struct mallinfo2` of glibc (malloc.h)."""

    _fields_ = [(f"field{number}", ctypes.c_size_t) for number in range(8)] + [
        ("fordblks", ctypes.c_size_t),
        ("keepcost", ctypes.c_size_t),
    ]


def _count_kept_bytes() -> int:
    """Return the freed bytes that this process keeps; 0 without glibc 2.33 or later."""
    mallinfo = _find_mallinfo()
    return 0 if mallinfo is None else int(mallinfo().fordblks)


@cache
def _find_mallinfo() -> "ctypes._NamedFuncPointer | None":
    mallinfo = getattr(ctypes.CDLL(None), "mallinfo2", None)
    if mallinfo is not None:
        mallinfo.restype = _MallocInfo
    return mallinfo
