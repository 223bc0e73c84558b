"""The client for asyncio and Trio."""

from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast, overload

import anyio
import anyio.to_thread
import httpx

from roi_ray.client import http
from roi_ray.client.messages import Answer, NoAnswer, Operation, Pause, Request, Work
from roi_ray.client.operations import Operations
from roi_ray.client.options import DEFAULT_RETRIES, DEFAULT_TIMEOUT, ClientOptions
from roi_ray.client.results import ImageResult, RegionMask
from roi_ray.preference.pair_preference import PairPreference

if TYPE_CHECKING:
    from roi_ray.imaging.load import ImageSource

_T = TypeVar("_T")


class AsyncClient:
    """A `Client` whose methods are awaited. Tasks can share it.

    Files are read, and arrays and Pillow images are encoded, in threads.

    Args:
        url: see `Client`.
        api_key: see `Client`.
        timeout: see `Client`.
        retries: see `Client`.

    Raises:
        UsageError: an argument cannot be used.

    Examples:
        >>> import asyncio
        >>> async def main():
        ...     async with AsyncClient("http://127.0.0.1:8000") as client:
        ...         await client.upload("original.png")
        ...         scores = client.score("original.png", "decoded.jpg")
        ...         preference = client.compare("original.png", "decoded.jpg", "decoded.webp")
        ...         return await asyncio.gather(scores, preference)
        >>> result, preference = asyncio.run(main())
        >>> result.image, preference.probability < 0.5
        ('decoded.jpg', True)
    """

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None = None,
        timeout: float = DEFAULT_TIMEOUT,
        retries: int = DEFAULT_RETRIES,
    ) -> None:
        options = ClientOptions(url, api_key, timeout, retries)
        self._operations = Operations(options)
        self._http = http.make_client(httpx.AsyncClient, options)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    @overload
    async def score(  # type: ignore[overload-overlap]  # a str is a Sequence of str
        self, reference: "ImageSource", images: "ImageSource", mask: "ImageSource | None" = None
    ) -> ImageResult: ...

    @overload
    async def score(
        self,
        reference: "ImageSource",
        images: "Sequence[ImageSource]",
        mask: "ImageSource | None" = None,
    ) -> list[ImageResult]: ...

    async def score(
        self,
        reference: "ImageSource",
        images: "ImageSource | Sequence[ImageSource]",
        mask: "ImageSource | None" = None,
    ) -> ImageResult | list[ImageResult]:
        """Compare images with their reference; see `Client.score`.

        Calls that begin before the first one of a reference has ended send it too; `await upload`
        first to send it once.
        """
        return await self._run(self._operations.score(reference, images, mask))

    async def compare(
        self,
        reference: "ImageSource",
        a: "ImageSource",
        b: "ImageSource",
        mask: "ImageSource | None" = None,
    ) -> PairPreference:
        """Predict which of two images people prefer; see `Client.compare`."""
        return await self._run(self._operations.compare(reference, a, b, mask))

    async def mask(self, reference: "ImageSource") -> RegionMask:
        """Return the region of interest of a reference; see `Client.mask`."""
        return await self._run(self._operations.make_mask(reference))

    async def upload(self, reference: "ImageSource") -> str:
        """Send a reference, unless the service has it; see `Client.upload`."""
        return await self._run(self._operations.upload(reference))

    async def about(self) -> dict[str, Any]:
        """Return what the service is; see `Client.about`."""
        return await self._run(self._operations.describe())

    async def is_ready(self) -> bool:
        """Return whether the service accepts requests; see `Client.is_ready`."""
        return await self._run(self._operations.is_ready())

    async def wait_until_ready(self, seconds: float = 120.0) -> None:
        """Wait until the service accepts requests; see `Client.wait_until_ready`."""
        await self._run(self._operations.wait_until_ready(seconds))

    async def _run(self, operation: Operation[_T]) -> _T:
        """Do what an operation asks for until it returns."""
        outcome: object = None
        while True:
            try:
                step = operation.send(outcome)
            except StopIteration as end:
                return cast(_T, end.value)
            outcome = await self._do(step)

    async def _do(self, step: Request | Pause | Work) -> object:
        if isinstance(step, Request):
            return await self._send(step)
        if isinstance(step, Pause):
            await anyio.sleep(step.seconds)
            return None
        return await anyio.to_thread.run_sync(step.function)

    async def _send(self, request: Request) -> Answer | NoAnswer:
        http.check_open(self._http)
        try:
            with anyio.fail_after(request.timeout):
                async with self._http.stream(**http.make_stream_arguments(request)) as response:
                    return http.to_answer(response, await response.aread())
        except (httpx.RequestError, TimeoutError) as error:
            return http.to_no_answer(error, request)
