"""The client that waits."""

import time
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast, overload

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


class Client:
    """A connection to a scoring service of `roi-ray serve`. Threads can share it.

    Images are paths, bytes, arrays or Pillow images, as for `roi_ray.score`: they are sent, arrays
    and Pillow images without loss. A text with `://`, such as `s3://bucket/key`, is not read here:
    the service reads it, if it lies below one of its allowed prefixes.

    Every request can be repeated. One that gets no answer, or a 408, 429, 502, 503 or 504, or a
    404 or 500 of a proxy, is sent again after a pause: a random one, twice as long each time, or
    what the service asks for.

    Args:
        url: URL of the service, such as `http://127.0.0.1:8000`.
        api_key: key that the service asks for, if any.
        timeout: seconds until a request must be answered, all tries together.
        retries: how often a request is sent again.

    Raises:
        UsageError: an argument cannot be used.

    Examples:
        >>> with Client("http://127.0.0.1:8000") as client:
        ...     jpeg, webp = client.score("original.png", ["decoded.jpg", "decoded.webp"])
        ...     preference = client.compare("original.png", "decoded.jpg", "decoded.webp")
        >>> jpeg.image, jpeg.scores.psnr < webp.scores.psnr, preference.probability < 0.5
        ('decoded.jpg', True, True)
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
        self._http = http.make_client(httpx.Client, options)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    @overload
    def score(  # type: ignore[overload-overlap]  # a str is a Sequence of str
        self, reference: "ImageSource", images: "ImageSource", mask: "ImageSource | None" = None
    ) -> ImageResult: ...

    @overload
    def score(
        self,
        reference: "ImageSource",
        images: "Sequence[ImageSource]",
        mask: "ImageSource | None" = None,
    ) -> list[ImageResult]: ...

    def score(
        self,
        reference: "ImageSource",
        images: "ImageSource | Sequence[ImageSource]",
        mask: "ImageSource | None" = None,
    ) -> ImageResult | list[ImageResult]:
        """Compare a distorted image, or several, with their reference, as `roi_ray.score` does.

        A reference is sent once: later calls name it by its hash. Many images are sent in several
        requests.

        Args:
            reference: the original: an image, or what `upload` returned.
            images: a distorted image, or a list or tuple of them.
            mask: region of interest, white inside; None to let the service find it.

        Returns:
            a result per image, in the order of `images`; without a list, one result. An image that
            cannot be scored has a result with an error.

        Raises:
            ImageError: the reference or the mask cannot be used; for the kinds see `roi_ray.score`.
            ServiceUnavailable: there was no answer after all retries.
            ServiceError: the service refused or failed the request.
            UsageError: an argument is nothing that an image can be read from.
        """
        return self._run(self._operations.score(reference, images, mask))

    def compare(
        self,
        reference: "ImageSource",
        a: "ImageSource",
        b: "ImageSource",
        mask: "ImageSource | None" = None,
    ) -> PairPreference:
        """Predict which of two images people prefer, and say why, as `roi_ray.prefer` does.

        Args:
            reference: see `score`.
            a: the first distorted image.
            b: the second.
            mask: see `score`.

        Raises:
            ImageError: an image or the mask cannot be used.
            ServiceUnavailable, ServiceError, UsageError: as `score`.
        """
        return self._run(self._operations.compare(reference, a, b, mask))

    def mask(self, reference: "ImageSource") -> RegionMask:
        """Return the region of interest that the service finds in a reference.

        Args:
            reference: see `score`.

        Raises:
            ImageError: the reference cannot be used.
            ServiceUnavailable, ServiceError, UsageError: as `score`.
        """
        return self._run(self._operations.make_mask(reference))

    def upload(self, reference: "ImageSource") -> str:
        """Send a reference, unless the service has it.

        Args:
            reference: see `score`.

        Returns:
            `sha256:` and the hash of the file, which any client may give as `reference`, until the
            service forgets it: when it restarts, or when others need its memory. A `ServiceError`
            of the kind `UnknownReference` says so.

        Raises:
            ImageError: the reference cannot be read.
            ServiceUnavailable, ServiceError, UsageError: as `score`.
        """
        return self._run(self._operations.upload(reference))

    def about(self) -> dict[str, Any]:
        """Return the versions, settings, weights and limits of the service.

        Raises:
            ServiceUnavailable, ServiceError: as `score`.
        """
        return self._run(self._operations.describe())

    def is_ready(self) -> bool:
        """Return whether the service accepts requests now. Nothing is retried."""
        return self._run(self._operations.is_ready())

    def wait_until_ready(self, seconds: float = 120.0) -> None:
        """Wait until the service accepts requests.

        Raises:
            ServiceUnavailable: it does not after this many seconds; the message says why.
        """
        self._run(self._operations.wait_until_ready(seconds))

    def _run(self, operation: Operation[_T]) -> _T:
        """Do what an operation asks for until it returns."""
        outcome: object = None
        try:
            while True:
                outcome = self._do(operation.send(outcome))
        except StopIteration as end:
            return cast(_T, end.value)

    def _do(self, step: Request | Pause | Work) -> object:
        if isinstance(step, Request):
            return self._send(step)
        if isinstance(step, Pause):
            time.sleep(step.seconds)
            return None
        return step.function()

    def _send(self, request: Request) -> Answer | NoAnswer:
        http.check_open(self._http)
        end = time.monotonic() + request.timeout
        body = bytearray()
        try:
            with self._http.stream(**http.make_stream_arguments(request)) as response:
                for piece in response.iter_bytes():
                    if time.monotonic() > end:
                        return http.to_no_answer(TimeoutError(), request)
                    body += piece
                return http.to_answer(response, bytes(body))
        except httpx.RequestError as error:
            return http.to_no_answer(error, request)
