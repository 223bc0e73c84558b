"""Read the images that the gallery shows, and check that they are those that were scored."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from roi_ray import schema
from roi_ray.errors import ImageReadError, RoiRayError, SizeMismatch
from roi_ray.imaging.load import load_image, load_mask
from roi_ray.imaging.pixels import Pixels, Pixels8, bit_depth_of, check_size
from roi_ray.imaging.samples import tiles
from roi_ray.io.allowlist import Allowlist
from roi_ray.pipeline.decode_stage import resolve_allowed

_MSE_TOLERANCE = 1e-3
"""Relative difference of mean squared errors; rounding stays far below it on every device."""
_MSE_FLOOR = 1e-9


class GalleryFiles:
    """Reader of the files that rows of scores name.

    Args:
        base: URI of the folder that relative URIs are relative to.
        allowlist: folders that may be opened.
        max_pixels: largest image that is decoded.
        has_our_mse: whether `roi-ray score` wrote the rows, so that their `mse` is that of the
            files as they were then.
    """

    def __init__(self, base: str, allowlist: Allowlist, max_pixels: int, has_our_mse: bool) -> None:
        self._base, self._allowlist, self._max_pixels = base, allowlist, max_pixels
        self._has_our_mse = has_our_mse
        # Highlights of one image often follow each other.
        self.read_reference = lru_cache(1)(self._read_image)

    def read_distorted(self, row: Mapping[str, Any], reference: Pixels) -> Pixels:
        """Read the distorted image of a row.

        Raises:
            RoiRayError: the file may not be opened, cannot be read, or is not the one that was
                scored; the message names it.
        """
        uri = row[schema.DISTORTED]
        image = self._read_image(uri)
        try:
            check_size(image, reference)
        except SizeMismatch as error:
            raise SizeMismatch(f"{uri}: {error}") from error
        scored = row.get("mse") if self._has_our_mse else None
        if scored is not None:
            mse = _measure_mse(reference, image)
            if abs(mse - scored) > _MSE_FLOOR + _MSE_TOLERANCE * scored:
                raise ImageReadError(
                    f"{uri} or its reference has changed since it was scored: its mean squared "
                    f"error is {mse:.4g} now and {scored:.4g} in the scores; score it again"
                )
        return image

    def read_mask(self, uri: str, reference: Pixels) -> Pixels8:
        """Read a mask, uint8, (H, W); errors as of `read_distorted`."""
        try:
            mask = load_mask(resolve_allowed(uri, self._base, self._allowlist), self._max_pixels)
            check_size(mask, reference)
        except RoiRayError as error:
            raise _with_uri(error, uri) from error
        return mask

    def _read_image(self, uri: str) -> Pixels:
        try:
            return load_image(resolve_allowed(uri, self._base, self._allowlist), self._max_pixels)
        except RoiRayError as error:
            raise _with_uri(error, uri) from error


def _with_uri(error: RoiRayError, uri: str) -> RoiRayError:
    return type(error)(str(error) if uri in str(error) else f"{uri}: {error}")


def _measure_mse(first: Pixels, second: Pixels) -> float:
    """Measure the mean squared error of sRGB values in [0, 1]."""
    whites = [float((1 << bit_depth_of(image)) - 1) for image in (first, second)]
    total = 0.0
    for tile in tiles(first):
        x, y = (
            np.asarray(image[tile], np.float64) / white
            for image, white in zip((first, second), whites, strict=True)
        )
        total += float(((x - y) ** 2).sum())
    return total / first.size
