"""Processes that may die or hang."""

import asyncio
import os
import signal
import time

import pytest

from roi_ray.errors import ImageReadError, WorkerDied
from roi_ray.votes.http.worker_pool import WorkerPool
from roi_ray.web.error_answers import RequestFailed


def die_once(marker: str) -> str:
    """Kill this process, the first time."""
    if not os.path.exists(marker):
        with open(marker, "w") as file:
            file.write("here")
        os.kill(os.getpid(), signal.SIGKILL)
    return "alive"


def die() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def list_blocked_signals() -> set[int]:
    return signal.pthread_sigmask(signal.SIG_BLOCK, ())


def fail() -> None:
    raise ImageReadError("a reason")


def return_function() -> object:
    return lambda: None  # it cannot be pickled


@pytest.fixture
def pool():
    pool = WorkerPool(2, seconds=60)
    yield pool
    pool.close()


def test_death_is_blamed_on_its_function_alone(pool, tmp_path) -> None:
    async def work() -> list[object]:
        jobs = [pool.run(die), *(pool.run(abs, -n) for n in range(6))]
        jobs.append(pool.run(die_once, str(tmp_path / "marker")))
        return await asyncio.gather(*jobs, return_exceptions=True)

    first, *others, last = asyncio.run(work())
    assert isinstance(first, WorkerDied) and "twice" in str(first)
    assert others == list(range(6)) and last == "alive"


def test_errors_are_raised_and_the_process_lives_on() -> None:
    pool = WorkerPool(1, seconds=60)

    async def work() -> None:
        pid = await pool.run(os.getpid)
        with pytest.raises(ImageReadError, match="a reason"):
            await pool.run(fail)
        with pytest.raises(RuntimeError, match="pickle"):
            await pool.run(return_function)
        with pytest.raises(Exception, match="pickle"):
            await pool.run(lambda: None)
        assert await pool.run(os.getpid) == pid != os.getpid()

    asyncio.run(work())
    pool.close()


def test_function_that_takes_too_long_is_given_up() -> None:
    pool = WorkerPool(1, seconds=0.5)

    async def work() -> None:
        with pytest.raises(WorkerDied, match=r"longer than 0\.5 seconds"):
            await pool.run(time.sleep, 600)

    asyncio.run(work())
    pool.close()


def test_control_c_of_the_terminal_reaches_no_worker(pool) -> None:
    # Nor while it starts: it inherits what is blocked.
    assert signal.SIGINT in asyncio.run(pool.run(list_blocked_signals))
    assert signal.SIGINT not in list_blocked_signals()


def test_closed_processes_run_nothing(pool) -> None:
    async def work() -> None:
        running = asyncio.create_task(pool.run(time.sleep, 600))
        while not pool._workers:
            await asyncio.sleep(0.01)
        await asyncio.to_thread(pool.close)
        with pytest.raises(RequestFailed, match="closing"):
            await running

    asyncio.run(work())
