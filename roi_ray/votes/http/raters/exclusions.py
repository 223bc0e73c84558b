"""Questions that are not asked because their images cannot be shown."""

import asyncio

from roi_ray.errors import ImageError, WorkerDied
from roi_ray.votes.http.images.images import RETRY_SECONDS
from roi_ray.votes.http.writer import Writer
from roi_ray.votes.study import Study


class Exclusions:
    """Excludes questions from a study.

    A question whose images killed their process, or took too long, is asked again once, after some
    minutes: perhaps the machine had too much to do.

    Args:
        study: the study.
        writer: the thread of the study.
        seconds: how long such a question is not asked.
    """

    def __init__(self, study: Study, writer: Writer, seconds: float = RETRY_SECONDS) -> None:
        self._study, self._writer, self._seconds = study, writer, seconds
        self._tried_again: set[int] = set()

    async def add(self, question: int, error: ImageError) -> None:
        """Exclude a question."""
        await self._writer.run(self._study.exclude, question, str(error))
        if isinstance(error, WorkerDied) and question not in self._tried_again:
            self._tried_again.add(question)
            asyncio.get_running_loop().call_later(self._seconds, self._study.readmit, question)
