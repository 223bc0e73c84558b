"""Run functions in other processes, which may die or hang without harm.

Each process runs one function at a time, so that a death is blamed on the right one.
"""

import asyncio
import contextlib
import multiprocessing
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from roi_ray.errors import WorkerDied
from roi_ray.web.error_answers import RequestFailed, request_failed

_T = TypeVar("_T")


class WorkerPool:
    """A number of worker processes, started when they are needed.

    A function whose process dies is run again, once, while no other one runs: perhaps the machine
    had too little memory for all of them.

    Args:
        number: how many functions run at a time.
        seconds: how long a function may take.

    Examples:
        >>> import asyncio, math
        >>> pool = WorkerPool(1, seconds=60)
        >>> asyncio.run(pool.run(math.sqrt, 2.25))
        1.5
        >>> pool.close()
    """

    def __init__(self, number: int, seconds: float) -> None:
        self._number, self._seconds = number, seconds
        self._threads = ThreadPoolExecutor(number, thread_name_prefix="process")
        self._slots = asyncio.Semaphore(number)
        self._retry = asyncio.Lock()
        self._local = threading.local()
        self._lock = threading.Lock()
        self._workers: set[_Worker] = set()
        self._is_closed = False

    async def run(self, function: Callable[..., _T], *arguments: object) -> _T:
        """Run a function of a module, and return its result.

        Raises:
            WorkerDied: its process died twice, or it took too long.
            RequestFailed: the processes are closed.
            Exception: what the function raises.
        """
        try:
            async with self._slots:
                return await self._submit(function, arguments)
        except _Died:
            if self._is_closed:
                raise _closing() from None
        async with self._retry, AsyncExitStack() as slots:
            for _ in range(self._number):
                await slots.enter_async_context(self._slots)
            try:
                return await self._submit(function, arguments)
            except _Died:
                if self._is_closed:
                    raise _closing() from None
                raise WorkerDied("the process that worked on it died, twice") from None

    def close(self) -> None:
        """End the processes; functions that run are given up."""
        with self._lock:
            self._is_closed = True
            for worker in self._workers:
                worker.kill()
        self._threads.shutdown(wait=True, cancel_futures=True)

    async def _submit(self, function: Callable[..., _T], arguments: tuple[object, ...]) -> _T:
        loop = asyncio.get_running_loop()
        result: _T = await loop.run_in_executor(self._threads, self._work, function, arguments)
        return result

    def _work(self, function: Callable[..., Any], arguments: tuple[object, ...]) -> Any:  # noqa: ANN401
        """Run a function in the process of this thread."""
        worker = self._find_worker()
        try:
            return worker.run(function, arguments, self._seconds)
        except (_Died, WorkerDied):
            self._local.worker = None
            with self._lock:
                self._workers.discard(worker)
            raise

    def _find_worker(self) -> "_Worker":
        worker: _Worker | None = getattr(self._local, "worker", None)
        if worker is None:
            with self._lock:
                if self._is_closed:
                    raise _closing()
                worker = self._local.worker = _Worker()
                self._workers.add(worker)
        return worker


def _closing() -> RequestFailed:
    return request_failed("ServiceClosing", "the server is closing; ask again later")


class _Died(Exception):
    """The process of a function died."""


class _Worker:
    """A process that runs functions, one at a time."""

    def __init__(self) -> None:
        # Not forked: this process has threads.
        context = multiprocessing.get_context("spawn")
        self._connection, child_end = context.Pipe()
        self._process = context.Process(target=_serve, args=(child_end,), daemon=True)
        resource_tracker.ensure_running()  # its start unblocks signals
        with _blocked(signal.SIGINT):
            self._process.start()
        child_end.close()

    def run(
        self, function: Callable[..., Any], arguments: tuple[object, ...], seconds: float
    ) -> Any:  # noqa: ANN401
        try:
            self._connection.send((function, arguments))
            if not self._connection.poll(seconds):
                self.kill()
                raise WorkerDied(f"it takes longer than {seconds:g} seconds")
            is_result, value = self._connection.recv()
        except (EOFError, OSError):
            self.kill()
            raise _Died from None
        if is_result:
            return value
        raise value

    def kill(self) -> None:
        """End the process. A call that waits for its result fails."""
        self._process.kill()
        self._process.join()


@contextlib.contextmanager
def _blocked(number: int) -> Iterator[None]:
    """Let processes that this thread starts never get a signal.

    Control-C reaches all processes of a terminal, also while they import; the server ends its
    workers when it has finished.
    """
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {number})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _serve(connection: Connection) -> None:
    """Run the functions that come, until the other end is closed."""
    with contextlib.suppress(EOFError, OSError):
        while True:
            function, arguments = connection.recv()
            try:
                message = (True, function(*arguments))
            except Exception as error:
                message = (False, error)
            try:
                connection.send(message)
            except (TypeError, AttributeError, ValueError) as error:  # it cannot be pickled
                connection.send((False, RuntimeError(f"{type(message[1]).__name__}: {error}")))
            del message
