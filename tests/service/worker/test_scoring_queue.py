"""Turns in the thread that scores."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import pytest

from roi_ray.service.worker.scoring_queue import ScoringQueue


@dataclass
class Log:
    """What was done, in which batches; the first batch waits for the event."""

    batches: list[list[str]] = field(default_factory=list)
    may_start: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True)
class Spell:
    """Work that turns words of one length to upper case."""

    log: Log = field(compare=False)
    length: int
    limit: int

    def run(self, items: Sequence[str]) -> list[str]:
        assert self.log.may_start.wait(60)
        self.log.batches.append(list(items))
        if "bad" in items:
            raise ValueError(f"{len(items)} words")
        return [item.upper() for item in items]


@pytest.fixture
def queue() -> Iterator[ScoringQueue]:
    queue = ScoringQueue()
    yield queue
    queue.close()


def run(
    queue: ScoringQueue,
    words: Sequence[tuple[str, str]],
    limit: int,
    meanwhile: Callable[[list[asyncio.Future[str]]], Awaitable[None]] | None = None,
) -> tuple[list[list[str]], list[str | BaseException]]:
    """Send words of requests while the thread is busy; return the batches and the results."""
    log = Log()

    async def main() -> list[str | BaseException]:
        tasks = [
            asyncio.ensure_future(queue.do(request, Spell(log, len(word), limit), word))
            for request, word in words
        ]
        await asyncio.sleep(0)  # lets all of them wait
        if meanwhile is not None:
            await meanwhile(tasks)
        log.may_start.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    results = asyncio.run(main())
    return log.batches, results


def test_requests_take_turns_one_job_at_a_time(queue) -> None:
    words = [("A", "a1"), ("A", "a2"), ("A", "a3"), ("B", "b1"), ("C", "c1"), ("B", "b2")]
    batches, results = run(queue, words, limit=1)
    assert batches == [["a1"], ["b1"], ["c1"], ["a2"], ["b2"], ["a3"]]
    assert results == [word.upper() for _, word in words]


def test_jobs_of_equal_work_are_done_together_up_to_the_limit(queue) -> None:
    words = [("A", "a1"), ("A", "long"), ("B", "b1"), ("B", "b2"), ("C", "c1"), ("C", "c2")]
    batches, results = run(queue, words, limit=3)
    assert batches[0][0] == "a1"
    assert all(len({len(word) for word in batch}) == 1 for batch in batches)
    assert sorted(map(len, batches)) == [1, 2, 3]
    assert results == [word.upper() for _, word in words]


def test_images_of_one_request_are_in_one_batch(queue) -> None:
    words = [("A", "a1"), ("B", "b1"), ("A", "a2"), ("B", "b2"), ("A", "a3"), ("B", "b3")]
    batches, _ = run(queue, words, limit=3)
    assert batches == [["a1", "a2", "a3"], ["b1", "b2", "b3"]]


@pytest.mark.parametrize("limit", [1, 3])
def test_cancelled_jobs_are_skipped(queue, limit) -> None:
    words = [("A", "a1"), ("A", "a2"), ("B", "b1"), ("A", "a3")]

    async def cancel(tasks: list[asyncio.Future[str]]) -> None:
        tasks[1].cancel()
        tasks[2].cancel()
        await asyncio.sleep(0)

    batches, results = run(queue, words, limit, cancel)
    assert [word for batch in batches for word in batch] == ["a1", "a3"]
    assert [results[0], results[3]] == ["A1", "A3"]
    assert isinstance(results[1], asyncio.CancelledError)


def test_error_fails_only_its_own_job(queue) -> None:
    words = [("A", "one"), ("A", "bad"), ("B", "two")]
    batches, results = run(queue, words, limit=3)
    assert batches == [["one", "bad", "two"], ["one"], ["bad"], ["two"]]
    assert [results[0], results[2]] == ["ONE", "TWO"]
    assert str(results[1]) == "1 words"


def test_queue_works_again_when_it_was_empty_and_after_an_error(queue) -> None:
    async def main() -> None:
        with pytest.raises(ZeroDivisionError):
            await queue.call("A", lambda: 1 // 0)
        assert await queue.call("A", lambda: 42) == 42

    asyncio.run(main())
    assert asyncio.run(queue.call("B", threading.current_thread)).name.startswith("scoring")


def test_error_of_the_device_is_told_before_it_is_raised() -> None:
    defects: list[Exception] = []
    queue = ScoringQueue(defects.append)

    def fail(text: str) -> None:
        raise RuntimeError(text)

    async def main() -> None:
        with pytest.raises(RuntimeError):
            await queue.call("A", partial(fail, "another error"))
        assert not defects
        with pytest.raises(RuntimeError, match="illegal"):
            await queue.call("A", partial(fail, "CUDA error: an illegal memory access"))

    try:
        asyncio.run(main())
    finally:
        queue.close()
    assert [str(defect) for defect in defects] == ["CUDA error: an illegal memory access"]
