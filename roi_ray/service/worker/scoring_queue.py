"""One thread that scores, and what waits for it: fair between requests, in batches on a GPU."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, Protocol, TypeGuard, TypeVar

from roi_ray.service.worker.tasks import retry_turn

_Item = TypeVar("_Item")
_Item_contra = TypeVar("_Item_contra", contravariant=True)
_Result = TypeVar("_Result")
_Result_co = TypeVar("_Result_co", covariant=True)

_DEVICE_ERROR = "CUDA error"
"""In the text of errors after which a process cannot use its GPU any more."""


class Work(Protocol[_Item_contra, _Result_co]):
    """How jobs of a kind are done. Jobs whose works are equal may be done together."""

    @property
    def limit(self) -> int:
        """Largest number of jobs that are done together."""

    def run(self, items: Sequence[_Item_contra]) -> Sequence[_Result_co]:
        """Do jobs; return one result per item. Called in the scoring thread."""


@dataclass(frozen=True, eq=False)
class Call(Generic[_Result]):
    """Work of one job: a function to call."""

    function: Callable[[], _Result]
    limit: int = 1

    def run(self, items: Sequence[None]) -> Sequence[_Result]:
        """Call the function."""
        return [self.function() for _ in items]


@dataclass(frozen=True, eq=False)
class _Job:
    work: Work[Any, Any]
    item: Any
    future: "asyncio.Future[Any]"


class ScoringQueue:
    """Jobs that wait for the one thread that scores.

    Requests take turns: each time, the next job of the next request is done; together with it jobs
    of equal work that wait, of any request, up to the limit of the work. A job whose waiting was
    cancelled is not done.

    Args:
        on_defect: called with an error after which the device does no more work, before it is
            raised where the job was waited for.

    Examples:
        >>> async def main() -> int:
        ...     queue = ScoringQueue()
        ...     return await queue.call("a request", lambda: 6 * 7)
        >>> asyncio.run(main())
        42
    """

    def __init__(self, on_defect: Callable[[Exception], None] | None = None) -> None:
        self._requests: OrderedDict[Hashable, deque[_Job]] = OrderedDict()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="scoring")
        self._on_defect = on_defect
        self._is_running = False
        self._pumps: set[asyncio.Task[None]] = set()

    async def call(self, request: Hashable, function: Callable[[], _Result]) -> _Result:
        """Call a function in the scoring thread, when it is the turn of the request."""
        return await self.do(request, Call(function), None)

    async def do(self, request: Hashable, work: Work[_Item, _Result], item: _Item) -> _Result:
        """Do a job when it is the turn of the request; return its result, or raise its error.

        A job that raises `TurnTaken` waits again, behind the other jobs of its request.
        """
        return await retry_turn(partial(self._do, request, work, item))

    async def _do(self, request: Hashable, work: Work[_Item, _Result], item: _Item) -> _Result:
        future: asyncio.Future[_Result] = asyncio.get_running_loop().create_future()
        self._requests.setdefault(request, deque()).append(_Job(work, item, future))
        if not self._is_running:
            self._is_running = True
            pump = asyncio.ensure_future(self._pump())
            self._pumps.add(pump)  # the loop itself keeps no reference to it
            pump.add_done_callback(self._pumps.discard)
        return await future

    def close(self) -> None:
        """End the thread, after the jobs that it does now."""
        self._thread.shutdown(wait=True)

    async def _pump(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while jobs := self._take_jobs():
                items = [job.item for job in jobs]
                results = await loop.run_in_executor(self._thread, run_jobs, jobs[0].work, items)
                for job, result in zip(jobs, results, strict=True):
                    if self._on_defect and _is_defect(result):
                        self._on_defect(result)
                    _finish(job.future, result)
        finally:
            self._is_running = False

    def _take_jobs(self) -> list[_Job]:
        """Take the next job, and those that are done together with it."""
        jobs: list[_Job] = []
        own = deque[_Job]()
        while self._requests and not jobs:
            request, own = self._requests.popitem(last=False)
            jobs = _take(own, None, 1)
            if own:
                self._requests[request] = own  # at the end
        if jobs and jobs[0].work.limit > 1:
            work = jobs[0].work
            # Those of the same request first: a batch with several references copies them.
            for waiting in (own, *self._requests.values()):
                jobs += _take(waiting, work, work.limit - len(jobs))
        return jobs


def _take(waiting: deque[_Job], work: Work[Any, Any] | None, limit: int) -> list[_Job]:
    """Take the first jobs of a request, of equal work if one is given; drop the cancelled ones."""
    jobs: list[_Job] = []
    while waiting and len(jobs) < limit:
        if waiting[0].future.done():
            waiting.popleft()
        elif work is None or waiting[0].work == work:
            jobs.append(waiting.popleft())
        else:
            break
    return jobs


def run_jobs(work: Work[Any, Any], items: Sequence[Any]) -> list[Any]:
    """Do jobs together; where that fails, each alone.

    Returns:
        one result per item: its value, or the exception that it raised.
    """
    try:
        return list(work.run(items))
    except Exception as error:
        if len(items) == 1:
            return [error]
    # Outside of the except clause, because the exception keeps device memory alive.
    return [result for item in items for result in run_jobs(work, [item])]


def _is_defect(result: object) -> TypeGuard[Exception]:
    return isinstance(result, Exception) and _DEVICE_ERROR in str(result)


def _finish(future: "asyncio.Future[Any]", result: object) -> None:
    if future.done():  # cancelled while it was done
        return
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)
