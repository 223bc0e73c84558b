"""Read the files of a pair again, by the rules of `roi-ray score`."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roi_ray import schema
from roi_ray.errors import ImageError, SizeMismatch, StorageError
from roi_ray.imaging.load import load_image, load_mask
from roi_ray.imaging.pixels import Pixels, Pixels8, bit_depth_of, check_size
from roi_ray.io.allowlist import Allowlist
from roi_ray.pipeline.decode_stage import resolve_allowed

_CACHED_IMAGES = 2


@dataclass(frozen=True)
class Pair:
    """The decoded files of a pair.

    Attributes:
        reference: the reference's pixels.
        distorted: the distorted image's pixels, of the same size.
        mask: the mask of the manifest, uint8, (H, W); None if it has none.
        mask_key: equal for pairs of the same mask: URIs of the reference and of the mask.
    """

    reference: Pixels
    distorted: Pixels
    mask: Pixels8 | None
    mask_key: tuple[str, str]


class ImageFiles:
    """Reader of the files that a run's rows name.

    Args:
        base: URI of the folder that relative URIs are relative to.
        allowlist: folders that may be opened.
        max_pixels: largest image that the run decoded.
    """

    def __init__(self, base: str, allowlist: Allowlist, max_pixels: int) -> None:
        self._base, self._allowlist, self._max_pixels = base, allowlist, max_pixels
        # Pairs of one reference follow each other.
        self._load_reference = lru_cache(_CACHED_IMAGES)(self._load_image)

    def load(self, row: Mapping[str, Any]) -> Pair:
        """Read and decode the files of a row.

        Raises:
            ImageError: a file may not be opened, cannot be read, or has another size than when it
                was scored.
            StorageError: the storage does not answer.
        """
        reference_uri, mask_uri = row[schema.REFERENCE], row.get(schema.MASK) or ""
        reference = self._load_reference(reference_uri)
        distorted = self._load_image(row[schema.DISTORTED])
        for uri, image in ((reference_uri, reference), (row[schema.DISTORTED], distorted)):
            _check_scored_size(uri, image, row)
        mask = self._load_mask(mask_uri, reference) if mask_uri else None
        return Pair(reference, distorted, mask, (reference_uri, mask_uri))

    def _load_image(self, uri: str) -> Pixels:
        try:
            return load_image(self._resolve(uri), self._max_pixels)
        except (ImageError, StorageError) as error:
            raise _with_uri(error, uri) from error

    def _load_mask(self, uri: str, reference: Pixels) -> Pixels8:
        try:
            mask = load_mask(self._resolve(uri), self._max_pixels)
            check_size(mask, reference)
        except (ImageError, StorageError) as error:
            raise _with_uri(error, f"mask {uri}") from error
        return mask

    def _resolve(self, uri: str) -> str:
        return resolve_allowed(uri, self._base, self._allowlist)


def to_unit_range(image: Pixels) -> NDArray[np.float64]:
    """Convert samples of n bits to float64 in [0, 1], v / (2^n - 1)."""
    white = float(2 ** bit_depth_of(image) - 1)
    return np.asarray(image, np.float64) / white


def _check_scored_size(uri: str, image: Pixels, row: Mapping[str, Any]) -> None:
    size, scored = (image.shape[1], image.shape[0]), (row["width"], row["height"])
    if size != scored:
        raise SizeMismatch(
            f"{uri}: now {size[0]} x {size[1]}, but {scored[0]} x {scored[1]} in the scores"
        )


def _with_uri(error: ImageError | StorageError, uri: str) -> ImageError | StorageError:
    return type(error)(str(error) if uri in str(error) else f"{uri}: {error}")
