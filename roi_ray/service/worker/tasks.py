"""Run coroutines side by side."""

import asyncio
from collections.abc import Awaitable, Sequence
from typing import TypeVar

_T = TypeVar("_T")


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
