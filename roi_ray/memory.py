"""How the C library gives memory back."""

import ctypes
import platform

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
