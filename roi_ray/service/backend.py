"""What the HTTP interface asks, and what answers: on Ray Serve, or in one process.

Nothing here raises an error about an image: failures are values, because they travel between
processes.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from roi_ray.schema import Failure, Scores

UNKNOWN_REFERENCE = "UnknownReference"
"""Kind of the failure that a reference was named by its hash, and is not kept (any more)."""

NEEDS_CONTENT = "NeedsContent"
"""Kind of the failure that a reference came without its content, and is not prepared (any more).
Between processes only; no client sees it."""

_NOTHING = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True)
class ImageFile:
    """A file that a request sent or named.

    Attributes:
        name: the file's name or URI, for messages and answers.
        data: its content.
        sha256: SHA-256 of the content, in hexadecimal.
    """

    name: str
    data: bytes = field(repr=False)
    sha256: str

    @property
    def is_bare(self) -> bool:
        """Whether the content is left out, for a process that may not need it."""
        return not self.data and self.sha256 != _NOTHING

    def without_content(self) -> "ImageFile":
        """Return the file without its content."""
        return replace(self, data=b"")


@dataclass(frozen=True)
class Provenance:
    """What made the numbers of an answer.

    Attributes:
        scoring_version: `roi_ray.scoring.version.SCORING_VERSION`.
        settings: the fields of `Settings`.
        weights: name and SHA-256 of each network's weights, as `Scorer.provenance`.
    """

    scoring_version: int
    settings: dict[str, Any]
    weights: dict[str, Any]


@dataclass(frozen=True)
class ScoreAnswer:
    """The numbers of the images of a request.

    Attributes:
        provenance: what made them.
        outcomes: one per image, in the order of the request.
        cached: whether the reference had been prepared before.
    """

    provenance: Provenance
    outcomes: tuple[Scores | Failure, ...]
    cached: bool


@dataclass(frozen=True)
class CompareAnswer:
    """Which of two images people prefer.

    Attributes:
        provenance: what made the numbers.
        preference: `PairPreference.to_dict()`.
        cached: whether the reference had been prepared before.
    """

    provenance: Provenance
    preference: dict[str, Any]
    cached: bool


@dataclass(frozen=True)
class MaskAnswer:
    """The region of interest of a reference.

    Attributes:
        provenance: what made it.
        png: the mask as a grey PNG of 8 bits, of the size of the reference: 255 R, rounded.
        roi_fraction: mean of the mask, in [0, 1].
    """

    provenance: Provenance
    png: bytes
    roi_fraction: float


class Backend(Protocol):
    """Computes the answers.

    A failure that is returned instead of an answer is about the reference, the mask or the service;
    its text says which.
    """

    async def score(
        self, reference: ImageFile, images: Sequence[ImageFile], mask: ImageFile | None
    ) -> ScoreAnswer | Failure:
        """Score images against one reference."""

    async def compare(
        self, reference: ImageFile, a: ImageFile, b: ImageFile, mask: ImageFile | None
    ) -> CompareAnswer | Failure:
        """Predict which of two images people prefer."""

    async def make_mask(self, reference: ImageFile) -> MaskAnswer | Failure:
        """Make the mask of a reference."""

    async def put_reference(self, reference: ImageFile) -> bool:
        """Keep a reference, so that requests can name it by its hash; return whether it is new."""

    async def get_reference(self, sha256: str) -> ImageFile | None:
        """Return a reference that is kept; None if it is not."""

    async def reference_size(self, sha256: str) -> int | None:
        """Return the bytes of a reference that is kept; None if it is not."""

    async def describe(self) -> Provenance:
        """Say what makes the numbers of `score`. Answers only when the networks are loaded."""
