"""The one thread that reads and writes the database of a study."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

_T = TypeVar("_T")
_P = ParamSpec("_P")


class Writer:
    """Run functions in one thread, in the order in which they are asked for.

    Examples:
        >>> import asyncio
        >>> writer = Writer()
        >>> asyncio.run(writer.run(max, 3, 5))
        5
        >>> writer.close()
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="writer")

    async def run(
        self, function: Callable[_P, _T], *arguments: _P.args, **options: _P.kwargs
    ) -> _T:
        """Run a function in the thread, and return its result."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, lambda: function(*arguments, **options))

    def close(self) -> None:
        """Wait until the functions have ended, and end the thread."""
        self._thread.shutdown(wait=True)
