"""Run coroutines side by side."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from roi_ray.runtime.available import TurnTaken

_T = TypeVar("_T")


_PAUSE_SECONDS = 0.05


async def retry_turn(function: Callable[[], Awaitable[_T]]) -> _T:
    """Call a function until no work on another large image is in its way; see `TurnTaken`.

    A thread that others need, too, must not wait for the turn of a large image.
    """
    while True:
        try:
            return await function()
        except TurnTaken:
            await asyncio.sleep(_PAUSE_SECONDS)


async def gather(awaitables: Sequence[Awaitable[_T]]) -> list[_T]:
    """Run coroutines side by side; if one fails, or this is cancelled, cancel the others.

    Examples:
        >>> async def double(number: int) -> int:
        ...     return 2 * number
        >>> async def main() -> list[int]:
        ...     return await gather([double(1), double(2)])
        >>> asyncio.run(main())
        [2, 4]
    """
    tasks = [asyncio.ensure_future(each) for each in awaitables]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
