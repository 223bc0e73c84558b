"""What a client returns."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from roi_ray import errors
from roi_ray.errors import ImageError, RoiRayError, ServiceError
from roi_ray.schema import ERROR, ERROR_KIND, Scores


@dataclass(frozen=True)
class Provenance:
    """What made the numbers of an answer.

    Attributes:
        roi_ray: version of the service.
        scoring_version: raised when the numbers of the same images change.
        settings: the fields of `roi_ray.Settings`.
        weights: name and SHA-256 of each network's weights.
        reference_sha256: SHA-256 of the reference's file.
    """

    roi_ray: str
    scoring_version: int
    settings: Mapping[str, Any] = field(repr=False)
    weights: Mapping[str, Any] = field(repr=False)
    reference_sha256: str


@dataclass(frozen=True, repr=False)
class ImageResult:
    """The scores of an image, or why it has none.

    Attributes:
        image: path or URI of the image as it was given; `image 1`, ... for others.
        sha256: SHA-256 of the image's file, in hexadecimal; None if it could not be read.
        scores: the numbers; None if there are none.
        error_kind: name of the class of the error, such as `ImageReadError`; None if there are
            scores.
        error: which file, and what is wrong with it; None if there are scores.
        provenance: what made the numbers; None if there are none.
    """

    image: str
    sha256: str | None
    scores: Scores | None = None
    error_kind: str | None = None
    error: str | None = None
    provenance: Provenance | None = None

    def get_scores(self) -> Scores:
        """Return the scores.

        Raises:
            ImageError: there are none: the error that `roi_ray.score` raises for the image, such as
                `ImageReadError`.
        """
        if self.scores is not None:
            return self.scores
        kind = getattr(errors, self.error_kind or "", None)
        if isinstance(kind, type) and issubclass(kind, RoiRayError):
            raise kind(self.error)
        raise ServiceError(f"{self.error_kind}: {self.error}", kind=self.error_kind)

    def __repr__(self) -> str:
        outcome = self.scores or f"{self.error_kind}: {self.error}"
        return f"ImageResult({self.image!r}, {outcome})"


@dataclass(frozen=True)
class RegionMask:
    """The region of interest of a reference, where people look.

    Attributes:
        png: the mask as a grey PNG of 8 bits, of the size of the reference: 255 inside the region.
            It can be given as `mask`.
        roi_fraction: mean of the mask, in [0, 1].
    """

    png: bytes = field(repr=False)
    roi_fraction: float


def read_provenance(document: Mapping[str, Any]) -> Provenance:
    """Read what made the numbers of an answer.

    Raises:
        KeyError: a value is missing.
    """
    names = ("roi_ray", "scoring_version", "settings", "weights")
    sha256 = document["reference"]["sha256"]
    return Provenance(**{name: document[name] for name in names}, reference_sha256=sha256)


def read_image_result(
    image: str, values: Mapping[str, Any], provenance: Provenance | None
) -> ImageResult:
    """Read the entry of an image in an answer.

    Args:
        image: see `ImageResult`.
        values: the entry.
        provenance: what made the answer.

    Raises:
        KeyError, ValueError: a value is missing.
    """
    sha256 = values["sha256"]
    if values[ERROR_KIND] is None:
        return ImageResult(image, sha256, Scores.from_dict(values), provenance=provenance)
    return ImageResult(image, sha256, error_kind=values[ERROR_KIND], error=values[ERROR])


def make_failed_result(image: str, error: ImageError) -> ImageResult:
    """Make the result of an image that could not be read here, so that it was not sent."""
    return ImageResult(image, None, error_kind=type(error).__name__, error=str(error))
