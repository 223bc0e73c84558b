"""Kernels for CPUs that numba compiles, and the threads that run them.

A module of kernels is imported where it is needed, after `can_compile` has said that it can be:
numba takes a second to import, and kernels that are not in its cache some seconds to compile.
"""

import contextlib
import functools
import hashlib
import importlib.util
import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from roi_ray.runtime.logs import LOGGER

if TYPE_CHECKING:
    from torch import Tensor

_Kernel = TypeVar("_Kernel", bound=Callable[..., Any])


def kernel(function: _Kernel) -> _Kernel:
    """Compile a function on its first call, for the types of that call's arguments.

    Each combination of types is compiled again: always pass contiguous arrays of one type. The code
    is for this processor, and runs without the interpreter's lock. It may use fused multiply-adds
    and add in another order; indices are not checked, and division by zero gives infinity. What is
    compiled is kept on disk, where a folder for it is writable: `__pycache__` beside the module, or
    `NUMBA_CACHE_DIR`, or the user's cache folder.

    Args:
        function: a function of numpy arrays and numbers, in the part of Python that numba knows.
    """
    return _compile(function, {"contract", "reassoc", "nsz"})


def ordered_kernel(function: _Kernel) -> _Kernel:
    """Compile a function as `kernel` does, with sums in the order that it writes down."""
    return _compile(function, {"contract", "nsz"})


def exact_kernel(function: _Kernel) -> _Kernel:
    """Compile a function as `kernel` does, with exactly the roundings that it writes down."""
    return _compile(function, False)


def _compile(function: _Kernel, fastmath: set[str] | bool) -> _Kernel:
    import numba

    from roi_ray.runtime.kernel_cache import KernelCache

    # A kernel contains those that it calls. Otherwise, a process that compiles them would run other
    # copies of them than a process that loads them, and these copies may add in another order.
    compiled = numba.njit(nogil=True, fastmath=fastmath, error_model="numpy", forceinline=True)(
        function
    )
    path = Path(function.__code__.co_filename)
    with contextlib.suppress(RuntimeError):  # no folder for the cache
        compiled._cache = KernelCache(function, _hash_processor(), lambda: _hash_room(path))
    return cast("_Kernel", compiled)


@functools.cache
def _hash_room(path: Path) -> str:
    """Hash numba's version, and the sources of a module's room, or else of its folder.

    numba only looks whether the module itself has changed, not those of the kernels and constants
    that it uses, and not the options of the compiler.
    """
    import numba

    package = Path(__file__).parents[1]
    if path.is_relative_to(package):
        sources = sorted((package / path.relative_to(package).parts[0]).rglob("*.py"))
    else:
        sources = sorted(path.parent.glob("*.py"))
    this_room = (Path(__file__), Path(__file__).with_name("kernel_cache.py"))
    contents = (source.read_bytes() for source in (*this_room, *sources))
    return _hash(b"".join((numba.__version__.encode(), *contents)))


@functools.cache
def _hash_processor() -> str:
    """Hash the processor's type and instructions.

    Machines that share a folder then have files of their own.
    """
    from llvmlite.binding import get_host_cpu_name
    from numba.core.codegen import get_host_cpu_features

    return _hash(f"{get_host_cpu_name()} {get_host_cpu_features()}".encode())


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:12]


@functools.cache
def can_compile() -> bool:
    """Tell whether kernels can be compiled in this process; an error of the compiler is logged."""
    if importlib.util.find_spec("numba") is None:
        return False
    try:
        import numba

        if numba.config.DISABLE_JIT:
            return False
        kernel(_add_one)(1)
    except Exception as error:  # whatever LLVM or the system objects to
        LOGGER.warning("metrics are slower, because numba cannot compile: %s", error)
        return False
    return True


def has_kernels(tensor: "Tensor") -> bool:
    """Tell whether there are compiled kernels for a tensor's device; numba compiles for CPUs."""
    return tensor.device.type == "cpu" and can_compile()


def _add_one(number: int) -> int:
    return number + 1


def run_in_threads(task: Callable[[int], object], count: int) -> None:
    """Call `task(0)` to `task(count - 1)` in as many threads as torch uses, and wait for all.

    The threads take the numbers one after the other, so that a slow thread delays the others by
    one task at most. A task should run for 0.1 ms or more, and does not call this function.

    Args:
        task: writes its results to places of its own, so that they do not depend on the threads.
        count: number of calls.

    Raises:
        Exception: what a task raises; other tasks may then be left out.
    """
    import torch

    numbers = iter(range(count))  # `next` of it is atomic

    def work() -> None:
        for number in numbers:
            task(number)

    helpers = (_submit(work) for _ in range(min(torch.get_num_threads(), count) - 1))
    futures = [helper for helper in helpers if helper]
    try:
        work()
    finally:
        # A helper that has not begun, because others keep the pool busy, has nothing left to do.
        running = [future for future in futures if not future.cancel()]
        errors = [error for future in running if (error := future.exception())]
    if errors:
        raise errors[0]


def _submit(work: Callable[[], None]) -> Future[None] | None:
    """Start a helper; None while the interpreter exits, which still waits for threads like ours."""
    try:
        return _get_pool().submit(work)
    except RuntimeError as error:
        if str(error).startswith("cannot schedule new futures"):
            return None
        raise


@functools.cache
def _get_pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="kernels")


# The threads do not exist in a child process.
os.register_at_fork(after_in_child=_get_pool.cache_clear)
