"""Memory: how the C library gives it back, and what it looks like when there is none left."""

import ctypes
import platform
import resource
from pathlib import Path

import torch

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8  # malloc.h
_NEVER = (1 << 31) - 1
_LARGE = 1 << 30


def keep_freed_memory() -> bool:
    """Have this process keep the memory that it frees, for the next image.

    By default glibc returns each large block to the system at once, and the next one costs a page
    fault every 4 KiB: half of the time for an image of 4 megapixels. The price is that the process
    stays as large as it once was.

    Returns:
        whether this is a system where it can be asked for.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    # One arena: those of other threads are limited to 64 MiB.
    settings = ((_ARENA_MAX, 1), (_MMAP_THRESHOLD, _LARGE), (_TRIM_THRESHOLD, _NEVER))
    return all(mallopt(option, value) for option, value in settings)


def read_resident_memory() -> int:
    """Bytes of this process that are in memory; 0 where the system has no /proc."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * resource.getpagesize()


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that an allocation failed, on a GPU or on the CPU."""
    # On the CPU torch has no type for it, and oneDNN says only what it could not make; on a GPU,
    # pinned memory, Triton and CUDA's libraries have words of their own.
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or any(
        text in str(error)
        for text in (
            "can't allocate memory",
            "bad_alloc",
            "could not create",
            "out of memory",
            "ALLOC_FAILED",
        )
    )
