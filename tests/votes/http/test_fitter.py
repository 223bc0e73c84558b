"""Fits that fail."""

import asyncio
import os
import signal
from collections.abc import Callable
from functools import partial

import pytest

from roi_ray.votes.http.fitter import Fitter
from roi_ray.votes.http.worker_pool import WorkerPool
from roi_ray.votes.http.writer import Writer


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def fail() -> None:
    raise MemoryError("too many votes")


class FitsInTurn:
    """A study that has fits to do, one after the other."""

    def __init__(self, *fits: Callable[[], object]) -> None:
        self.fits, self.taken = list(fits), []
        self.is_fitting = False

    def next_fit(self) -> Callable[[], object] | None:
        if self.is_fitting or not self.fits:
            return None
        self.is_fitting = True
        return self.fits.pop(0)

    def take_fit(self, result: object) -> None:
        self.is_fitting = False
        self.taken.append(result)


@pytest.mark.parametrize("failure", [die, fail])
def test_study_goes_on_to_learn_after_a_fit_that_fails(failure, caplog) -> None:
    study = FitsInTurn(partial(abs, -1), failure, partial(abs, -2), partial(abs, -3))
    pool, writer = WorkerPool(1, seconds=60), Writer()

    async def work() -> None:
        fitter = Fitter(study, pool, writer)
        fitter.start()
        await fitter._task
        assert study.taken == [1, None]
        fitter.start()  # with the next vote
        await fitter._task
        await fitter.stop()

    asyncio.run(work())
    pool.close()
    writer.close()
    assert study.taken == [1, None, 2, 3]
    assert len(caplog.records) == 1 and "the fit of the answers" in caplog.text
