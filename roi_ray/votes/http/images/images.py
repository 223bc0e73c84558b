"""The pictures of a study: made in other processes, kept in memory, each made once at a time."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence

from roi_ray.errors import (
    ImageError,
    SizeMismatch,
    StorageError,
    StorageUnavailable,
    WorkerDied,
)
from roi_ray.io.allowlist import Allowlist
from roi_ray.runtime.logs import LOGGER, escape_line
from roi_ray.votes.http.images.pictures import Picture, Window, render_picture
from roi_ray.votes.http.worker_pool import WorkerPool

CACHE_BYTES = 256 << 20
"""Bytes of pictures that are kept in memory."""
RETRY_SECONDS = 300.0
"""After which an image is tried again whose process died: perhaps the machine was busy."""

_MAX_FAILURES = 10_000

_Name = tuple[str, Window]


class Images:
    """Pictures by URI and part.

    Args:
        pool: where they are made.
        allowlist: folders whose files may be opened.
        max_pixels: largest image that is decoded.
        cache_bytes: bytes of pictures that are kept.
        clock: seconds from any beginning.
    """

    def __init__(
        self,
        pool: WorkerPool,
        allowlist: Allowlist,
        max_pixels: int,
        cache_bytes: int = CACHE_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pool, self._allowlist, self._max_pixels = pool, allowlist, max_pixels
        self._kept: OrderedDict[_Name, Picture] = OrderedDict()
        self._free_bytes = cache_bytes
        self._failures: dict[_Name, ImageError] = {}
        self._clock = clock
        self._deaths: dict[_Name, float] = {}
        self._making: dict[_Name, asyncio.Task[Picture]] = {}
        self._sizes: dict[str, tuple[int, int]] = {}

    async def prepare(self, uris: Sequence[str], window: Window) -> Picture:
        """Make the pictures of a question, and return the first.

        Args:
            uris: the original and the candidates.
            window: the part that is shown.

        Raises:
            ImageError: one of them cannot be shown, or their sizes differ.
            StorageUnavailable: the storage fails; ask again later.
        """
        pictures = await asyncio.gather(*(self.make(uri, window) for uri in uris))
        first = pictures[0]
        for uri, picture in zip(uris, pictures, strict=True):
            if picture.size != first.size:
                sizes = [" x ".join(map(str, each.size)) for each in (picture, first)]
                raise SizeMismatch(f"{uri}: {sizes[0]}, but its reference is {sizes[1]}")
        return first

    async def make(self, uri: str, window: Window) -> Picture:
        """Make a picture, or take it from those that are kept; see `prepare`."""
        if window.side is not None and uri in self._sizes:
            window = Window(crop=window.place(*self._sizes[uri]))
        name = (uri, window)
        if name in self._kept:
            self._kept.move_to_end(name)
            return self._kept[name]
        self._forget_deaths()
        if name in self._failures:
            raise self._failures[name]
        if name not in self._making:
            task = self._making[name] = asyncio.create_task(self._make(uri, window))
            task.add_done_callback(lambda task: self._forget(name, task))
        # A client that goes away does not cancel what others wait for.
        return await asyncio.shield(self._making[name])

    async def _make(self, uri: str, window: Window) -> Picture:
        try:
            picture = await self._pool.run(
                render_picture, uri, window, self._max_pixels, self._allowlist
            )
        except ImageError as error:
            failure = type(error)(f"{uri}: {error}")
            if len(self._failures) < _MAX_FAILURES:
                self._failures[uri, window] = failure
                if isinstance(error, WorkerDied):
                    self._deaths[uri, window] = self._clock()
            raise failure from None
        except StorageError as error:
            LOGGER.warning("%s", escape_line(f"{uri}: {error}"))
            raise StorageUnavailable("images cannot be read at the moment") from None
        self._sizes[uri] = picture.size
        self._keep((uri, Window(crop=picture.crop)), picture)
        return picture

    def _forget(self, name: _Name, task: "asyncio.Task[Picture]") -> None:
        del self._making[name]
        if not task.cancelled():
            task.exception()  # whoever waited for it may be gone; asyncio would log it

    def _forget_deaths(self) -> None:
        oldest = self._clock() - RETRY_SECONDS
        while self._deaths and self._deaths[name := next(iter(self._deaths))] <= oldest:
            del self._deaths[name], self._failures[name]

    def _keep(self, name: _Name, picture: Picture) -> None:
        if name in self._kept:
            return
        self._kept[name] = picture
        self._free_bytes -= len(picture.data)
        while self._free_bytes < 0 and len(self._kept) > 1:
            self._free_bytes += len(self._kept.popitem(last=False)[1].data)
