"""Learn from the votes, in another process, while people go on."""

import asyncio

from roi_ray.votes.http.worker_pool import WorkerPool
from roi_ray.votes.http.writer import Writer
from roi_ray.votes.study import Study
from roi_ray.web.defects import log_defect


class Fitter:
    """Fits what a study knows to its answers; one fit at a time.

    Args:
        study: the study.
        pool: where it computes.
        writer: the thread of the study.
    """

    def __init__(self, study: Study, pool: WorkerPool, writer: Writer) -> None:
        self._study, self._pool, self._writer = study, pool, writer
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin a fit, if none is in progress."""
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._fit_all())

    async def stop(self) -> None:
        """Give up the fit that is in progress."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _fit_all(self) -> None:
        try:
            while await self._fit():
                pass
        except Exception as error:
            log_defect("the fit of the answers", error)

    async def _fit(self) -> bool:
        """Fit once; return whether another fit may be needed."""
        fit = await self._writer.run(self._study.next_fit)
        if fit is None:
            return False
        try:
            result = await self._pool.run(fit)
        except Exception as error:  # people go on with what was known before
            log_defect("the fit of the answers", error)
            await self._writer.run(self._study.take_fit, None)
            return False
        await self._writer.run(self._study.take_fit, result)
        return True
