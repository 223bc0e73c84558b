"""Keep freed memory, measure a process's memory, and recognise that memory ran out."""

import ctypes
import platform
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from roi_ray.errors import OutOfMemory

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # malloc.h
_NEVER = (1 << 31) - 1
_MAX_HEAP_BLOCK = 1 << 30


def keep_freed_memory() -> bool:
    """Make this process keep freed memory for the next image, instead of returning it.

    By default glibc returns each large block to the system at once, and the next block costs a page
    fault every 4 KiB: half of the time spent on an image of 4 megapixels. In exchange, the process
    never shrinks.

    Returns:
        whether it succeeded; False on systems without glibc.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    # One arena for all threads, because the arenas of other threads are limited to 64 MiB.
    settings = (
        (_M_ARENA_MAX, 1),
        (_M_MMAP_THRESHOLD, _MAX_HEAP_BLOCK),
        (_M_TRIM_THRESHOLD, _NEVER),
    )
    return all(mallopt(option, value) for option, value in settings)


def read_resident_memory() -> int:
    """Return the resident memory of this process in bytes; 0 on systems without /proc."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * resource.getpagesize()


@contextmanager
def out_of_memory_errors(size: tuple[int, int]) -> Iterator[None]:
    """Raise `OutOfMemory` where an allocation fails.

    Args:
        size: height and width of the images, for the error message.

    Raises:
        OutOfMemory: an allocation failed, on a GPU or on the CPU.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error):
            raise
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        raise OutOfMemory(
            f"{size[1]} x {size[0]} needs more memory than there is: {str(error).splitlines()[0]}"
        ) from error


def _is_out_of_memory(error: BaseException) -> bool:
    """Check whether an error means that an allocation failed, on a GPU or on the CPU."""
    # Not every library has an error type for it: torch on the CPU, oneDNN ("could not create"),
    # pinned memory, Triton and CUDA's libraries raise a RuntimeError with one of these texts.
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
