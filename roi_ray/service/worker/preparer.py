"""Decode and prepare the references of requests, each once."""

import asyncio
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import cast

from roi_ray.errors import ImageError, SizeMismatch
from roi_ray.imaging.pixels import Pixels, Pixels8
from roi_ray.runtime import telemetry
from roi_ray.schema import Failure
from roi_ray.scoring.needs import prepared_need
from roi_ray.scoring.scorer import Scorer
from roi_ray.service.backend import ImageFile
from roi_ray.service.worker.byte_budget import ByteBudget
from roi_ray.service.worker.decode import Decode, Role, estimate_bytes, name_failure, read_size
from roi_ray.service.worker.prepared_cache import KeptReference, PreparedCache
from roi_ray.service.worker.scoring_queue import ScoringQueue
from roi_ray.service.worker.scoring_work import prepare
from roi_ray.service.worker.tasks import gather

_UNKNOWN_SHARE = 4
"""Files that do not state their size are expected to need this part of the bytes there are."""


class Unusable(Exception):
    """A reference or a mask cannot be used.

    Attributes:
        role: `image` for the reference, or `mask`.
        failure: why; its text does not name the file, as requests that share it may have other
            names for it.
    """

    def __init__(self, role: Role, failure: Failure) -> None:
        super().__init__(str(failure))
        self.role, self.failure = role, failure


@dataclass(frozen=True, eq=False)
class ScoringRequest:
    """A request, which has its turns in the queue.

    Attributes:
        scorer: the scorer of its images.
        reference: the reference.
        mask: the mask; None to let the saliency network make it.
    """

    scorer: Scorer
    reference: ImageFile
    mask: ImageFile | None = None

    @property
    def key(self) -> Hashable:
        """What its prepared reference is made of."""
        return id(self.scorer), self.reference.sha256, self.mask and self.mask.sha256

    def explain(self, error: Unusable) -> Failure:
        """Return the failure of the reference or the mask, with the name of the file."""
        if error.role == "mask" and self.mask is not None:
            return name_failure(error.failure, f"mask {self.mask.name}")
        return name_failure(error.failure, f"reference {self.reference.name}")


def estimate_need(file: ImageFile, budget: ByteBudget) -> int:
    """Estimate the bytes of a decoded file."""
    return estimate_bytes(file.data, budget.size // _UNKNOWN_SHARE)


class Preparer:
    """Decodes and prepares references, and keeps them.

    Args:
        decode: decodes files.
        budget: bytes of decoded images that may wait.
        queue: the scoring thread.
        cache: where references are kept.
    """

    def __init__(
        self, decode: Decode, budget: ByteBudget, queue: ScoringQueue, cache: PreparedCache
    ) -> None:
        self._decode, self._budget, self._queue, self._cache = decode, budget, queue, cache

    @asynccontextmanager
    async def open(
        self, request: ScoringRequest
    ) -> AsyncIterator[tuple["asyncio.Future[KeptReference]", bool]]:
        """Use the prepared reference of a request; see `PreparedCache.open`.

        Awaiting the reference raises `Unusable` if it, or the mask, cannot be used. When this has
        been entered, the reference is in the queue for the bytes of decoded images: images that are
        decoded from then on do not take those that it waits for.
        """
        header = read_size(request.reference.data)
        need = self._cache.max_bytes // _UNKNOWN_SHARE
        if header is not None:
            need = prepared_need(header.pixels, request.scorer.settings.lpips)
        load = partial(self._prepare, request)
        async with self._cache.open(request.key, load, need) as opened:
            telemetry.count_reference(is_cached=opened[1])
            yield opened

    async def _prepare(self, request: ScoringRequest) -> KeptReference:
        # For both at once: no task waits for more bytes while it holds some.
        need = estimate_need(request.reference, self._budget)
        if request.mask is not None:
            need += estimate_need(request.mask, self._budget)
        async with self._budget.reserve(need):
            pixels, mask = await self._decode_both(request)
            try:
                return await self._queue.call(
                    request, partial(prepare, request.scorer, pixels, mask)
                )
            except SizeMismatch as error:
                raise Unusable("mask", Failure.from_exception(error)) from error
            except ImageError as error:
                raise Unusable("image", Failure.from_exception(error)) from error

    async def _decode_both(self, request: ScoringRequest) -> tuple[Pixels, Pixels8 | None]:
        """Decode the reference and the mask of a request."""
        files: list[tuple[ImageFile, Role]] = [(request.reference, "image")]
        if request.mask is not None:
            files.append((request.mask, "mask"))
        decoded = await gather([self._decode(file.data, role) for file, role in files])
        for (_, role), each in zip(files, decoded, strict=True):
            if isinstance(each, Failure):
                raise Unusable(role, each)
        pixels, *masks = cast(list[Pixels], decoded)
        return pixels, cast(Pixels8, masks[0]) if masks else None
