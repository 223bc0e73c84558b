"""Compute answers by the deployments of a service."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from roi_ray.errors import WorkerDied
from roi_ray.runtime.logs import LOGGER
from roi_ray.schema import Failure
from roi_ray.service.backend import (
    NEEDS_CONTENT,
    CompareAnswer,
    ImageFile,
    MaskAnswer,
    Provenance,
    ScoreAnswer,
)
from roi_ray.service.cluster.handle_calls import call
from roi_ray.service.cluster.process_death import death_errors, make_failure
from roi_ray.service.worker.reference_store import ReferenceStore

if TYPE_CHECKING:
    from ray.serve.handle import DeploymentHandle


API_REFERENCE_BYTES = 128 << 20
"""Largest sum of the sizes of the references that each process keeps that talks HTTP."""


class ServeBackend:
    """A `Backend` on Ray Serve.

    Requests with one reference go to one process, as long as it has not much more to do than the
    others: see `reference_router`. If a process dies, what it worked on is sent once more.

    A reference that was sent before goes to the process that scores without its content, unless
    that has not prepared it (any more). This saves 20 ms of CPU time per request of 512 x 512.

    Args:
        scoring: handle of the deployment `ScoringReplica`.
        references: handle of the deployment `References`.
        reference_bytes: largest sum of the sizes of the references that it keeps.
    """

    def __init__(
        self,
        scoring: "DeploymentHandle",
        references: "DeploymentHandle",
        reference_bytes: int = API_REFERENCE_BYTES,
    ) -> None:
        self._scoring, self._references = scoring, references
        self._kept = ReferenceStore(min(API_REFERENCE_BYTES, reference_bytes))

    async def score(
        self, reference: ImageFile, images: Sequence[ImageFile], mask: ImageFile | None
    ) -> ScoreAnswer | Failure:
        """Score images against one reference."""
        answer = await self._compute("score", reference, list(images), mask)
        return cast(ScoreAnswer | Failure, answer)

    async def compare(
        self, reference: ImageFile, a: ImageFile, b: ImageFile, mask: ImageFile | None
    ) -> CompareAnswer | Failure:
        """Predict which of two images people prefer."""
        answer = await self._compute("compare", reference, a, b, mask)
        return cast(CompareAnswer | Failure, answer)

    async def make_mask(self, reference: ImageFile) -> MaskAnswer | Failure:
        """Make the mask of a reference."""
        answer = await self._compute("make_mask", reference)
        return cast(MaskAnswer | Failure, answer)

    async def put_reference(self, reference: ImageFile) -> bool:
        """Keep a reference; return whether it is new.

        Raises:
            WorkerDied: the process that keeps references died twice.
        """
        self._kept.put(reference)
        # Most are known, and then need not be sent.
        if await _call_twice(self._references, "size", reference.sha256) is not None:
            return False
        return bool(await _call_twice(self._references, "put", reference))

    async def get_reference(self, sha256: str) -> ImageFile | None:
        """Return a reference that is kept; None if it is not.

        Raises:
            WorkerDied: the process that keeps references died twice.
        """
        if (kept := self._kept.get(sha256)) is not None:
            # It counts as used there too, and all processes that talk HTTP know it.
            await self.put_reference(kept)
            return kept
        reference = cast(ImageFile | None, await _call_twice(self._references, "get", sha256))
        if reference is not None:
            self._kept.put(reference)
        return reference

    async def reference_size(self, sha256: str) -> int | None:
        """Return the bytes of a reference that is kept; None if it is not.

        Raises:
            WorkerDied: the process that keeps references died twice.
        """
        if (kept := self._kept.get(sha256)) is not None:
            return len(kept.data)
        return cast(int | None, await _call_twice(self._references, "size", sha256))

    async def describe(self) -> Provenance:
        """Say what makes the numbers of `score`.

        Raises:
            WorkerDied: the process that was asked died twice.
        """
        return cast(Provenance, await _call_twice(self._scoring, "describe"))

    async def _compute(self, method: str, reference: ImageFile, *arguments: object) -> object:
        handle = self._scoring.options(session_id=reference.sha256)
        try:
            if self._kept.get(reference.sha256) is not None:
                bare = reference.without_content()
                answer = await _call_twice(handle, method, bare, *arguments)
                if not (isinstance(answer, Failure) and answer.kind == NEEDS_CONTENT):
                    return answer
            return await _call_twice(handle, method, reference, *arguments)
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
