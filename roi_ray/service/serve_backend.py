"""Compute answers by the deployments of a service."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from roi_ray.errors import WorkerDied
from roi_ray.runtime.logs import LOGGER
from roi_ray.schema import Failure
from roi_ray.service.backend import CompareAnswer, ImageFile, MaskAnswer, Provenance, ScoreAnswer
from roi_ray.service.handle_calls import call
from roi_ray.service.process_death import death_errors, make_failure

if TYPE_CHECKING:
    from ray.serve.handle import DeploymentHandle


class ServeBackend:
    """A `Backend` on Ray Serve.

    Requests with one reference go to one process, as long as it has not much more to do than the
    others: see `reference_router`. If a process dies, what it worked on is sent once more.

    Args:
        scoring: handle of the deployment `ScoringReplica`.
        references: handle of the deployment `References`.
    """

    def __init__(self, scoring: "DeploymentHandle", references: "DeploymentHandle") -> None:
        self._scoring, self._references = scoring, references

    async def score(
        self, reference: ImageFile, images: Sequence[ImageFile], mask: ImageFile | None
    ) -> ScoreAnswer | Failure:
        """Score images against one reference."""
        answer = await self._compute(reference, "score", reference, list(images), mask)
        return cast(ScoreAnswer | Failure, answer)

    async def compare(
        self, reference: ImageFile, a: ImageFile, b: ImageFile, mask: ImageFile | None
    ) -> CompareAnswer | Failure:
        """Predict which of two images people prefer."""
        answer = await self._compute(reference, "compare", reference, a, b, mask)
        return cast(CompareAnswer | Failure, answer)

    async def make_mask(self, reference: ImageFile) -> MaskAnswer | Failure:
        """Make the mask of a reference."""
        answer = await self._compute(reference, "make_mask", reference)
        return cast(MaskAnswer | Failure, answer)

    async def put_reference(self, reference: ImageFile) -> bool:
        """Keep a reference; return whether it is new.

        Raises:
            WorkerDied: the process that keeps references died twice.
        """
        # Most are known, and then need not be sent.
        if await _call_twice(self._references, "touch", reference.sha256):
            return False
        return bool(await _call_twice(self._references, "put", reference))

    async def get_reference(self, sha256: str) -> ImageFile | None:
        """Return a reference that is kept; None if it is not.

        Raises:
            WorkerDied: the process that keeps references died twice.
        """
        return cast(ImageFile | None, await _call_twice(self._references, "get", sha256))

    async def describe(self) -> Provenance:
        """Say what makes the numbers of `score`.

        Raises:
            WorkerDied: the process that was asked died twice.
        """
        return cast(Provenance, await _call_twice(self._scoring, "describe"))

    async def _compute(self, reference: ImageFile, method: str, *arguments: object) -> object:
        handle = self._scoring.options(session_id=reference.sha256)
        try:
            return await _call_twice(handle, method, *arguments)
        except WorkerDied as error:
            return make_failure(str(error))


async def _call_twice(handle: "DeploymentHandle", method: str, *arguments: object) -> Any:  # noqa: ANN401
    """Call a method; if its process dies, call it once more.

    Raises:
        WorkerDied: the second process died too.
    """
    try:
        return await call(handle, method, *arguments)
    except death_errors() as error:
        LOGGER.warning("a process of the service died: %s; trying again", type(error).__name__)
    try:
        return await call(handle, method, *arguments)
    except death_errors() as error:
        raise WorkerDied(
            "two processes that worked on the request died; ask again later, with fewer or smaller "
            "images"
        ) from error
