"""References that are prepared, kept as long as they fit into a number of bytes."""

import asyncio
from collections import OrderedDict, deque
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
    load: Load
    need: int
    has_room: asyncio.Event = field(default_factory=asyncio.Event)
    task: "asyncio.Task[KeptReference]" = field(init=False)  # when there is room
    users: int = 0
    nbytes: int = 0

    async def run(self) -> KeptReference:
        reference = await self.load()
        self.nbytes = reference.nbytes
        return reference


class PreparedCache:
    """Prepared references by key; those not used for the longest time are dropped first.

    Requests for one new key wait for one preparation. It is cancelled if all of them are. A new
    reference waits until those that requests use leave room for it; new references get room in the
    order of their requests.

    Args:
        max_bytes: largest sum of the bytes of all references. One that needs more is prepared when
            no request uses another one, and dropped after its last request.

    Attributes:
        hits: requests whose reference was there, or already being prepared.
        misses: requests whose reference had to be prepared.
    """

    def __init__(self, max_bytes: int) -> None:
        self.hits, self.misses = 0, 0
        self.max_bytes = max_bytes
        self._entries: OrderedDict[Hashable, _Entry] = OrderedDict()
        self._waiting: deque[_Entry] = deque()

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: Hashable) -> bool:
        return key in self._entries

    @property
    def nbytes(self) -> int:
        """Bytes of all references that are kept or in use; estimated while they are prepared."""
        return sum(entry.nbytes for entry in self._entries.values())

    @asynccontextmanager
    async def open(
        self, key: Hashable, load: Load, need: int
    ) -> AsyncIterator[tuple["asyncio.Future[KeptReference]", bool]]:
        """Use a reference as long as the context is open; wait until there is room for it.

        A task that waits for room must hold nothing that others need to give room.

        Args:
            key: what the reference was made of, such as hashes.
            load: prepares the reference, if it is not there.
            need: estimated bytes of the prepared reference.

        Yields:
            the reference, which may still be prepared: await it through `asyncio.shield`, because
            other requests share it; and whether it was there, or already being prepared. An error
            of `load` is raised by each request's await.
        """
        entry = self._entries.get(key)
        is_cached = entry is not None
        if entry is None:
            entry = self._entries[key] = _Entry(load, need)
            self._waiting.append(entry)
        self._count(is_cached)
        self._entries.move_to_end(key)
        entry.users += 1
        self._start()
        try:
            await entry.has_room.wait()
            yield entry.task, is_cached
        finally:
            entry.users -= 1
            self._close(key, entry)

    def _start(self) -> None:
        """Start to prepare the references that wait, as long as there is room for the first."""
        while self._waiting:
            entry = self._waiting[0]
            if entry.users:
                if not self._make_room(entry.need):
                    return
                entry.nbytes = entry.need
                # It begins before a request that waits for room goes on: see `Preparer`.
                entry.task = asyncio.ensure_future(entry.run())
                entry.task.add_done_callback(self._finish)
                entry.has_room.set()
            self._waiting.popleft()

    def _finish(self, task: "asyncio.Task[KeptReference]") -> None:
        # An error is retrieved even if nobody waits for it any more.
        if not task.cancelled() and task.exception() is None:
            self._start()  # it may need less than was estimated

    def _make_room(self, need: int) -> bool:
        """Drop references that no request uses, for a new one; return whether there is room."""
        used = sum(entry.nbytes for entry in self._entries.values() if entry.users)
        if used and used + need > self.max_bytes:
            return False
        self._evict(self.max_bytes - need)
        return True

    def _count(self, is_cached: bool) -> None:
        self.hits += is_cached
        self.misses += not is_cached

    def _close(self, key: Hashable, entry: _Entry) -> None:
        if not (entry.has_room.is_set() and entry.task.done()):
            if entry.users:
                return
            if entry.has_room.is_set():
                entry.task.cancel()
            self._drop(key, entry)
        elif entry.task.cancelled() or entry.task.exception() is not None:
            self._drop(key, entry)
        else:
            entry.nbytes = entry.task.result().nbytes
            self._evict(self.max_bytes)
        self._start()

    def _drop(self, key: Hashable, entry: _Entry) -> None:
        if self._entries.get(key) is entry:
            del self._entries[key]

    def _evict(self, max_bytes: int) -> None:
        """Drop the oldest references that no request uses, until the others fit."""
        total = self.nbytes
        for key, entry in list(self._entries.items()):
            if total <= max_bytes:
                return
            if not entry.users:
                total -= entry.nbytes
                del self._entries[key]
