"""Bytes that tasks may hold at a time."""

import asyncio

import pytest

from roi_ray.service.worker.byte_budget import ByteBudget


async def hold(budget: ByteBudget, size: int, log: list[int], end: asyncio.Event) -> None:
    async with budget.reserve(size):
        log.append(size)
        await end.wait()


async def settle() -> None:
    """Let all tasks run as far as they can."""
    for _ in range(10):
        await asyncio.sleep(0)


def test_tasks_wait_in_order_until_there_are_bytes() -> None:
    async def main() -> None:
        budget, log = ByteBudget(100), []
        ends = [asyncio.Event() for _ in range(4)]
        sizes = (60, 50, 30, 40)
        tasks = [
            asyncio.ensure_future(hold(budget, size, log, end))
            for size, end in zip(sizes, ends, strict=True)
        ]
        await settle()
        assert log == [60]  # 30 would fit, but came later than 50
        ends[0].set()
        await settle()
        assert log == [60, 50, 30]
        assert budget.used == 80
        ends[1].set()
        await settle()
        assert log == [60, 50, 30, 40]
        for end in ends:
            end.set()
        await asyncio.gather(*tasks)
        assert budget.used == 0

    asyncio.run(main())


def test_task_that_wants_too_much_goes_alone() -> None:
    async def main() -> None:
        budget, log = ByteBudget(100), []
        ends = [asyncio.Event() for _ in range(3)]
        tasks = [
            asyncio.ensure_future(hold(budget, size, log, end))
            for size, end in zip((10, 1000, 20), ends, strict=True)
        ]
        await settle()
        assert log == [10]
        ends[0].set()
        await settle()
        assert log == [10, 1000]
        ends[1].set()
        await settle()
        assert log == [10, 1000, 20]
        ends[2].set()
        await asyncio.gather(*tasks)

    asyncio.run(main())


def test_smaller_size_lets_others_in() -> None:
    async def main() -> None:
        budget, log, end = ByteBudget(100), [], asyncio.Event()
        async with budget.reserve(90) as reservation:
            waiting = asyncio.ensure_future(hold(budget, 60, log, end))
            await settle()
            assert log == []
            reservation.resize(30)
            await settle()
            assert log == [60]
        end.set()
        await waiting
        assert budget.used == 0

    asyncio.run(main())


@pytest.mark.parametrize("cancelled", [0, 1])
def test_cancelled_task_holds_nothing_and_bars_nobody(cancelled) -> None:
    async def main() -> None:
        budget, log, end = ByteBudget(100), [], asyncio.Event()
        tasks = [asyncio.ensure_future(hold(budget, size, log, end)) for size in (90, 80, 10)]
        await settle()
        tasks[cancelled].cancel()
        await settle()
        assert log == ([90, 80, 10] if cancelled == 0 else [90, 10])
        end.set()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert budget.used == 0

    asyncio.run(main())


def test_task_that_is_cancelled_just_as_it_is_served_holds_nothing() -> None:
    async def main() -> None:
        budget, log, end = ByteBudget(100), [], asyncio.Event()
        async with budget.reserve(90):
            waiting = asyncio.ensure_future(hold(budget, 80, log, end))
            await settle()
        waiting.cancel()  # its turn has come, but it has not run yet
        await settle()
        assert (log, budget.used) == ([], 0)

    asyncio.run(main())
