"""References that are prepared, kept as long as they fit into a number of bytes."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from torch import Tensor

from roi_ray.imaging.pixels import Pixels
from roi_ray.scoring.prepared import Prepared


@dataclass(frozen=True, eq=False)
class KeptReference:
    """A prepared reference, and the pixels that it was made of.

    Attributes:
        prepared: the reference.
        pixels: its pixels, which `prepared` reads again if it is large.
    """

    prepared: Prepared
    pixels: Pixels | None = None

    @property
    def nbytes(self) -> int:
        """Bytes that it keeps now; they grow when it is first scored against."""
        return count_bytes(self.prepared) + (0 if self.pixels is None else self.pixels.nbytes)


def count_bytes(prepared: Prepared) -> int:
    """Return the bytes of the tensors that a prepared reference keeps, on whatever device.

    The pixels of a large reference, which are read again from the caller's array, do not count.
    """
    region = prepared.region
    tensors = [region.values, *region.kept_weights.values()]
    for rows in prepared.rows or ():
        tensors += [tensor for kept in rows.values() for tensor in kept]
    if prepared.images.is_whole:
        tensors.append(prepared.images.load(0, prepared.size[0]))
    return _count_storages(tensors)


def _count_storages(tensors: list[Tensor]) -> int:
    """Return the bytes of the memory behind tensors; that of several views counts once."""
    storages = {each.untyped_storage().data_ptr(): each.untyped_storage() for each in tensors}
    return sum(storage.nbytes() for storage in storages.values())


Load = Callable[[], Awaitable[KeptReference]]


@dataclass(eq=False)
class _Entry:
    task: "asyncio.Task[KeptReference]"
    users: int = 0
    nbytes: int = field(default=0)


class PreparedCache:
    """Prepared references by key; those not used for the longest time are dropped first.

    Requests for one new key wait for one preparation. It is cancelled if all of them are.

    Args:
        max_bytes: largest sum of the bytes of references that no request uses.

    Attributes:
        hits: requests whose reference was there, or already being prepared.
        misses: requests whose reference had to be prepared.
    """

    def __init__(self, max_bytes: int) -> None:
        self.hits, self.misses = 0, 0
        self._max_bytes = max_bytes
        self._entries: OrderedDict[Hashable, _Entry] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: Hashable) -> bool:
        return key in self._entries

    @property
    def nbytes(self) -> int:
        """Bytes of all references that are kept."""
        return sum(entry.nbytes for entry in self._entries.values())

    @asynccontextmanager
    async def open(
        self, key: Hashable, load: Load
    ) -> AsyncIterator[tuple["asyncio.Future[KeptReference]", bool]]:
        """Use a reference as long as the context is open.

        Args:
            key: what the reference was made of, such as hashes.
            load: prepares the reference, if it is not there.

        Yields:
            the reference, which may still be prepared: await it through `asyncio.shield`, because
            other requests share it; and whether it was there, or already being prepared. An error
            of `load` is raised by each request's await.
        """
        entry = self._entries.get(key)
        is_cached = entry is not None
        if entry is None:
            entry = self._entries[key] = _Entry(asyncio.ensure_future(_call(load)))
            # An error is retrieved even if nobody waits for it any more.
            entry.task.add_done_callback(lambda task: task.cancelled() or task.exception())
        self._count(is_cached)
        self._entries.move_to_end(key)
        entry.users += 1
        try:
            yield entry.task, is_cached
        finally:
            entry.users -= 1
            self._close(key, entry)

    def _count(self, is_cached: bool) -> None:
        self.hits += is_cached
        self.misses += not is_cached

    def _close(self, key: Hashable, entry: _Entry) -> None:
        if not entry.task.done():
            if entry.users:
                return
            entry.task.cancel()
            self._drop(key, entry)
        elif entry.task.cancelled() or entry.task.exception() is not None:
            self._drop(key, entry)
        else:
            entry.nbytes = entry.task.result().nbytes
            self._evict()

    def _drop(self, key: Hashable, entry: _Entry) -> None:
        if self._entries.get(key) is entry:
            del self._entries[key]

    def _evict(self) -> None:
        """Drop the oldest references that no request uses, until the others fit."""
        total = self.nbytes
        for key, entry in list(self._entries.items()):
            if total <= self._max_bytes:
                return
            if not entry.users:
                total -= entry.nbytes
                del self._entries[key]


async def _call(load: Load) -> KeptReference:
    return await load()
