"""Score the images of requests in one process: decode, prepare, wait for the turn, score."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import cast

import numpy as np

from roi_ray.errors import ImageError, UsageError, WeightsError
from roi_ray.imaging.pixels import Pixels, check_size
from roi_ray.preference.explanation import explain_pair
from roi_ray.preference.model.needs import add_needs, check_scoring
from roi_ray.preference.model.preference_model import load_preference_model
from roi_ray.runtime import telemetry
from roi_ray.schema import Failure, Scores
from roi_ray.scoring.prepared import Prepared
from roi_ray.scoring.scorer import Scorer
from roi_ray.scoring.version import SCORING_VERSION
from roi_ray.service.backend import (
    NEEDS_CONTENT,
    CompareAnswer,
    ImageFile,
    MaskAnswer,
    Provenance,
    ScoreAnswer,
)
from roi_ray.service.options import ServiceOptions
from roi_ray.service.worker.byte_budget import ByteBudget
from roi_ray.service.worker.decode import Decode, name_failure
from roi_ray.service.worker.prepared_cache import KeptReference, PreparedCache
from roi_ray.service.worker.preparer import Preparer, ScoringRequest, Unusable, estimate_need
from roi_ray.service.worker.scoring_queue import ScoringQueue
from roi_ray.service.worker.scoring_work import ScorePairs, encode_mask
from roi_ray.service.worker.tasks import gather
from roi_ray.settings import Settings

DECODED_BYTES = 512 << 20
"""Largest sum of the decoded images that wait; a larger image waits alone."""

_WARM_SIDE = 256

_NEEDS_CONTENT = Failure(NEEDS_CONTENT, "the reference is not prepared: send its content")


class ScoringWorker:
    """Scores the images of requests, prepares each reference once, and compares images.

    On a CPU each pair is scored alone, so that its numbers are those of `roi_ray.score` in a
    process of as many threads, whatever else the worker does. On a GPU it scores all that waits of
    one size together.

    Args:
        options: how the service runs.
        decode: decodes files.
        device: `cpu`, `cuda` or `auto`; None for that of the options.
        decoded_bytes: see `DECODED_BYTES`.
        on_defect: see `ScoringQueue`.

    Attributes:
        images: images that are decoded, wait or are scored.
        cache: prepared references.

    Raises:
        WeightsError: weights or the preference model are missing, altered, or of an unknown layout.
        DeviceError: the device is not available, or the precision is too slow on it.
    """

    def __init__(
        self,
        options: ServiceOptions,
        decode: Decode,
        device: str | None = None,
        decoded_bytes: int = DECODED_BYTES,
        on_defect: Callable[[Exception], None] | None = None,
    ) -> None:
        self.images = 0
        self.cache = PreparedCache(options.prepared_bytes)
        self._decode, self._device = decode, device or options.device
        self._options = options
        self._model = load_preference_model(options.model)
        self._scorer = self._load_scorer(options.settings)
        self._comparing: asyncio.Task[Scorer] | None = None
        self._queue = ScoringQueue(on_defect)
        self._budget = ByteBudget(decoded_bytes)
        self._preparer = Preparer(decode, self._budget, self._queue, self.cache)

    def _load_scorer(self, settings: Settings) -> Scorer:
        return Scorer(
            settings,
            self._device,
            self._options.batch,
            self._options.weights_dir,
            allow_slow_precision=self._options.allow_slow_precision,
        )

    async def describe(self) -> Provenance:
        """Say what makes the numbers of `score`."""
        return _describe(self._scorer)

    async def score(
        self, reference: ImageFile, images: Sequence[ImageFile], mask: ImageFile | None
    ) -> ScoreAnswer | Failure:
        """Score images against one reference; see `Backend.score`."""
        request = ScoringRequest(self._scorer, reference, mask)
        if self._lacks(request):
            return _NEEDS_CONTENT
        try:
            async with self._preparer.open(request) as (preparing, is_cached):
                outcomes = await self._score_all(request, preparing, images)
        except Unusable as error:
            return request.explain(error)
        telemetry.count_pairs(o.kind if isinstance(o, Failure) else None for o in outcomes)
        return ScoreAnswer(_describe(request.scorer), tuple(outcomes), is_cached)

    async def compare(
        self, reference: ImageFile, a: ImageFile, b: ImageFile, mask: ImageFile | None
    ) -> CompareAnswer | Failure:
        """Predict which of two images people prefer; see `Backend.compare`."""
        try:
            scorer = await self._find_compare_scorer()
        except (UsageError, WeightsError) as error:
            return Failure.from_exception(error)
        request = ScoringRequest(scorer, reference, mask)
        if self._lacks(request):
            return _NEEDS_CONTENT
        try:
            async with self._preparer.open(request) as (preparing, is_cached):
                outcomes = await self._score_all(request, preparing, (a, b))
        except Unusable as error:
            return request.explain(error)
        telemetry.count_pairs(o.kind if isinstance(o, Failure) else None for o in outcomes)
        for name, outcome in zip("ab", outcomes, strict=True):
            if isinstance(outcome, Failure):
                return name_failure(outcome, f"image {name}")
        preference = explain_pair(self._model, *cast(list[Scores], outcomes))
        return CompareAnswer(_describe(scorer), preference.to_dict(), is_cached)

    async def make_mask(self, reference: ImageFile) -> MaskAnswer | Failure:
        """Make the mask of a reference; see `Backend.make_mask`."""
        request = ScoringRequest(self._scorer, reference, None)
        if self._lacks(request):
            return _NEEDS_CONTENT
        try:
            async with self._preparer.open(request) as (preparing, _):
                prepared = (await asyncio.shield(preparing)).prepared
                provenance = _describe(self._scorer)
                png = await asyncio.to_thread(encode_mask, prepared, provenance)
        except Unusable as error:
            return request.explain(error)
        return MaskAnswer(provenance, png, prepared.roi_fraction)

    def warm_up(self) -> None:
        """Score an image, so that the first request does not wait for what torch prepares."""
        image = np.zeros((_WARM_SIDE, _WARM_SIDE, 3), np.uint8)
        self._scorer.score(self._scorer.prepare(image), [image])

    def close(self) -> None:
        """End the scoring thread, after what it does now."""
        self._queue.close()

    def _lacks(self, request: ScoringRequest) -> bool:
        """Return whether a request needs the content of its reference, and has it not."""
        return request.reference.is_bare and request.key not in self.cache

    async def _score_all(
        self,
        request: ScoringRequest,
        preparing: "asyncio.Future[KeptReference]",
        images: Sequence[ImageFile],
    ) -> list[Scores | Failure]:
        """Score the images of a request; failures name the image."""
        self.images += len(images)
        try:
            return await gather([self._score_image(request, preparing, image) for image in images])
        finally:
            self.images -= len(images)

    async def _score_image(
        self, request: ScoringRequest, preparing: "asyncio.Future[KeptReference]", image: ImageFile
    ) -> Scores | Failure:
        async with self._budget.reserve(estimate_need(image, self._budget)) as reservation:
            pixels = await self._decode(image.data, "image")
            if not isinstance(pixels, Failure):
                reservation.resize(pixels.nbytes)
            prepared = (await asyncio.shield(preparing)).prepared
            if isinstance(pixels, Failure):
                return name_failure(pixels, image.name)
            outcome = await self._score_pixels(request, prepared, pixels)
        return name_failure(outcome, image.name) if isinstance(outcome, Failure) else outcome

    async def _score_pixels(
        self, request: ScoringRequest, prepared: Prepared, pixels: Pixels
    ) -> Scores | Failure:
        try:
            check_size(pixels, prepared.size)
            work = ScorePairs(request.scorer, prepared.size)
            return await self._queue.do(request, work, (prepared, pixels))
        except ImageError as error:
            return Failure.from_exception(error)

    async def _find_compare_scorer(self) -> Scorer:
        """Return the scorer that measures all that the preference model needs; load it once."""
        if self._comparing is None or (self._comparing.done() and self._comparing.exception()):
            self._comparing = asyncio.ensure_future(asyncio.to_thread(self._load_compare_scorer))
        return await asyncio.shield(self._comparing)

    def _load_compare_scorer(self) -> Scorer:
        """Load the scorer of comparisons, unless `score` measures all that they need.

        Raises:
            UsageError: the preference model was trained on scores of other settings or weights.
        """
        needed = add_needs(self._model, self._options.settings)
        scorer = self._scorer if needed == self._scorer.settings else self._load_scorer(needed)
        check_scoring(self._model, scorer.settings, scorer.provenance)
        return scorer


def _describe(scorer: Scorer) -> Provenance:
    return Provenance(SCORING_VERSION, asdict(scorer.settings), dict(scorer.provenance))
