"""Learn from the votes, in another process, while people go on."""

import asyncio

from roi_ray.votes.http.processes import Processes
from roi_ray.votes.http.writer import Writer
from roi_ray.votes.study import Study
from roi_ray.web.defects import log_defect


class Fits:
    """Updates what a study knows from its answers; one update at a time.

    Args:
        study: the study.
        processes: where it computes.
        writer: the thread of the study.
    """

    def __init__(self, study: Study, processes: Processes, writer: Writer) -> None:
        self._study, self._processes, self._writer = study, processes, writer
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin an update, if there is none in progress."""
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._update())

    async def stop(self) -> None:
        """Give up the update that is in progress."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _update(self) -> None:
        try:
            while (fit := await self._writer.run(self._study.next_fit)) is not None:
                result = await self._processes.run(fit)
                await self._writer.run(self._study.take_fit, result)
        except Exception as error:  # people go on with what was known before
            log_defect("the update of what is known", error)
