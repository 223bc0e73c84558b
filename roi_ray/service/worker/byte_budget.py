"""Bound the bytes that many tasks hold at a time."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Reservation:
    """Bytes that a task holds.

    Attributes:
        size: their number.
    """

    def __init__(self, budget: "ByteBudget", size: int) -> None:
        self._budget, self.size = budget, size

    def resize(self, size: int) -> None:
        """Correct an estimate: the task holds this many bytes."""
        self._budget.add(size - self.size)
        self.size = size


class ByteBudget:
    """Number of bytes that tasks may hold at a time; they get them in the order of their requests.

    A task that wants more than there are in all gets them when no other task holds any.

    Args:
        size: bytes in all.

    Attributes:
        used: bytes that tasks hold.

    Examples:
        >>> async def main() -> int:
        ...     budget = ByteBudget(100)
        ...     async with budget.reserve(60):
        ...         return budget.used
        >>> asyncio.run(main())
        60
    """

    def __init__(self, size: int) -> None:
        self.size, self.used = size, 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def reserve(self, size: int) -> AsyncIterator[Reservation]:
        """Wait for a number of bytes, and hold them as long as the context is open."""
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append((size, turn))
        self._serve()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.add(-size)
            turn.cancel()
            self._serve()
            raise
        reservation = Reservation(self, size)
        try:
            yield reservation
        finally:
            self.add(-reservation.size)

    def add(self, size: int) -> None:
        """Change the number of bytes that are held; serve those who wait if there are fewer."""
        self.used += size
        self._serve()

    def _serve(self) -> None:
        while self._waiting:
            size, turn = self._waiting[0]
            if not turn.cancelled():
                if self.used and self.used + size > self.size:
                    return
                self.used += size
                turn.set_result(None)
            self._waiting.popleft()
