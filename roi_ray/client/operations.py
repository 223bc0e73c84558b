"""What a client can do, each written once, for `Client` and `AsyncClient`: see `messages`."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, cast

from roi_ray.client import sources
from roi_ray.client.answers import (
    check_status,
    is_unknown_reference,
    malformed_answer,
    read_json,
    summarize,
)
from roi_ray.client.messages import Answer, NoAnswer, Operation, Part, Pause, Request, Work
from roi_ray.client.options import ClientOptions
from roi_ray.client.results import (
    ImageResult,
    RegionMask,
    make_failed_result,
    read_image_result,
    read_provenance,
)
from roi_ray.client.retry import send_with_retries
from roi_ray.client.sources import HASH_PREFIX, Content, Unreadable, read_named
from roi_ray.errors import ServiceUnavailable, UsageError
from roi_ray.preference.pair_preference import PairPreference

if TYPE_CHECKING:
    from roi_ray.imaging.load import ImageSource

_T = TypeVar("_T")

_MAX_KNOWN = 10_000
_READY_TIMEOUT = 10.0
_READY_PAUSE = 0.5


class Operations:
    """The operations of a client.

    Args:
        options: where the service is, and how long it may take.
    """

    def __init__(self, options: ClientOptions) -> None:
        self._options = options
        self._known: set[str] = set()  # references that the service has, as `sha256:...`

    def score(
        self,
        reference: "ImageSource",
        images: "ImageSource | Sequence[ImageSource]",
        mask: "ImageSource | None",
    ) -> Operation[ImageResult | list[ImageResult]]:
        """See `Client.score`."""
        several = isinstance(images, Sequence) and not isinstance(images, str | bytes)
        batch_sources = cast("Sequence[ImageSource]", images if several else [images])
        original, region = yield from _read_reference_and_mask(reference, mask)
        results: list[ImageResult] = []
        while len(results) < len(batch_sources):
            batch = yield Work(partial(sources.read_batch, batch_sources, len(results)))
            results += yield from self._score_batch(original, region, batch)
        return results if several else results[0]

    def compare(
        self,
        reference: "ImageSource",
        a: "ImageSource",
        b: "ImageSource",
        mask: "ImageSource | None",
    ) -> Operation[PairPreference]:
        """See `Client.compare`."""
        original, region = yield from _read_reference_and_mask(reference, mask)
        parts = []
        for side, source in (("a", a), ("b", b)):
            content = yield from _read(f"image {side}", partial(sources.read_image, source))
            parts.append(content.to_part(side))
        answer = yield from self._ask("/v1/compare", original, (*parts, *_to_parts(region)))
        return _interpret(answer, lambda document: PairPreference.from_dict(document["preference"]))

    def make_mask(self, reference: "ImageSource") -> Operation[RegionMask]:
        """See `Client.mask`."""
        original = yield from _read("reference", partial(sources.read_reference, reference))
        if original.reference not in self._known and isinstance(original.content, bytes):
            yield from self._put(original)
        answer = yield from self._get_mask(original)
        if is_unknown_reference(answer) and isinstance(original.content, bytes):
            yield from self._put(original)
            answer = yield from self._get_mask(original)
        check_status(answer)
        try:
            return RegionMask(answer.body, float(answer.headers["roi-fraction"]))
        except (KeyError, ValueError):
            raise malformed_answer(answer, "has no number in its header Roi-Fraction") from None

    def upload(self, reference: "ImageSource") -> Operation[str]:
        """See `Client.upload`."""
        original = yield from _read("reference", partial(sources.read_reference, reference))
        if isinstance(original.content, str):
            raise UsageError(f"{original.name} names a file that is not sent; give it as reference")
        answer = yield from self._send("HEAD", _path_of(original))
        if answer.status == 200:
            self._remember(original)
        else:
            yield from self._put(original)
        return original.reference

    def describe(self) -> Operation[dict[str, Any]]:
        """See `Client.about`."""
        return read_json((yield from self._send("GET", "/v1/about")))

    def is_ready(self) -> Operation[bool]:
        """See `Client.is_ready`."""
        return (yield from self._find_obstacle()) is None

    def wait_until_ready(self, seconds: float) -> Operation[None]:
        """See `Client.wait_until_ready`."""
        end = time.monotonic() + seconds
        while (obstacle := (yield from self._find_obstacle(seconds))) is not None:
            if time.monotonic() + _READY_PAUSE > end:
                url = self._options.url
                raise ServiceUnavailable(f"{url} is not ready after {seconds:g} s: {obstacle}")
            yield Pause(_READY_PAUSE)

    def _find_obstacle(self, seconds: float = _READY_TIMEOUT) -> Operation[str | None]:
        """Return why the service is not ready; None if it is. Take at most so many seconds."""
        timeout = min(self._options.timeout, _READY_TIMEOUT, max(seconds, _READY_PAUSE))
        outcome = yield Request("GET", "/v1/ready", timeout)
        if isinstance(outcome, NoAnswer):
            return outcome.reason
        return None if outcome.status == 200 else summarize(outcome)[1]

    def _score_batch(
        self, original: Content, region: Content | None, batch: Sequence[Content | Unreadable]
    ) -> Operation[list[ImageResult]]:
        """Score the images of a batch that could be read; the others get their errors."""
        contents = [image for image in batch if isinstance(image, Content)]
        scored: Iterator[ImageResult] = iter(())
        if contents:
            parts = tuple(image.to_part("image") for image in contents)
            answer = yield from self._ask("/v1/score", original, (*parts, *_to_parts(region)))
            scored = iter(_interpret(answer, partial(_read_image_results, contents)))
        return [
            make_failed_result(image.name, image.error)
            if isinstance(image, Unreadable)
            else next(scored)
            for image in batch
        ]

    def _ask(self, path: str, original: Content, parts: Sequence[Part]) -> Operation[Answer]:
        """Post a form. The reference's file is a part of it only if the service lacks it."""
        if original.reference in self._known:
            named = Part("reference", original.reference)
            answer = yield from self._send("POST", path, parts=(named, *parts))
            if not is_unknown_reference(answer):
                return answer
            self._known.discard(original.reference)
        sent = original.to_part("reference")
        answer = yield from self._send("POST", path, parts=(sent, *parts))
        if answer.status == 200:
            self._remember(original)
        return answer

    def _put(self, original: Content) -> Operation[None]:
        """Upload the file of a reference."""
        assert isinstance(original.content, bytes)
        answer = yield from self._send("PUT", _path_of(original), content=original.content)
        check_status(answer)
        self._remember(original)

    def _get_mask(self, original: Content) -> Operation[Answer]:
        query = {"reference": original.reference}
        return (yield from self._send("GET", "/v1/mask", query=query))

    def _send(
        self,
        method: str,
        path: str,
        *,
        parts: tuple[Part, ...] = (),
        content: bytes | None = None,
        query: Mapping[str, str] | None = None,
    ) -> Operation[Answer]:
        request = Request(method, path, self._options.timeout, parts, content, query or {})
        return (yield from send_with_retries(request, self._options))

    def _remember(self, original: Content) -> None:
        """Remember that the service has a reference. It may forget it at any time."""
        if isinstance(original.content, bytes):
            if len(self._known) >= _MAX_KNOWN:
                self._known.clear()
            self._known.add(original.reference)


def _read(name: str, read: Callable[[], Content]) -> Operation[Content]:
    content: Content = yield Work(partial(read_named, name, read))
    return content


def _read_reference_and_mask(
    reference: "ImageSource", mask: "ImageSource | None"
) -> Operation[tuple[Content, Content | None]]:
    original = yield from _read("reference", partial(sources.read_reference, reference))
    if mask is None:
        return original, None
    return original, (yield from _read("mask", partial(sources.read_mask, mask)))


def _path_of(original: Content) -> str:
    return f"/v1/references/{original.reference.removeprefix(HASH_PREFIX)}"


def _to_parts(region: Content | None) -> tuple[Part, ...]:
    return () if region is None else (region.to_part("mask"),)


def _read_image_results(contents: Sequence[Content], document: dict[str, Any]) -> list[ImageResult]:
    provenance = read_provenance(document)
    entries = zip(contents, document["images"], strict=True)
    return [read_image_result(content.name, values, provenance) for content, values in entries]


def _interpret(answer: Answer, read: Callable[[dict[str, Any]], _T]) -> _T:
    """Read the JSON of an answer, by a function that takes its values for granted."""
    document = read_json(answer)
    try:
        return read(document)
    except (KeyError, TypeError, ValueError) as error:
        raise malformed_answer(answer, f"lacks a value ({error})") from error
