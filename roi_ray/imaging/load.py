"""Load images from wherever a caller has them: paths, URIs, bytes, arrays or Pillow images."""

import os
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from PIL import Image

from roi_ray.errors import (
    AccessError,
    ImageError,
    ImageReadError,
    StorageError,
    StorageUnavailable,
    UsageError,
)
from roi_ray.imaging.decode import convert_image, convert_mask, decode_image, decode_mask
from roi_ray.imaging.pixels import Pixels, check_pixels
from roi_ray.io import storage
from roi_ray.settings import MAX_PIXELS

ImageSource: TypeAlias = str | os.PathLike[str] | bytes | Pixels | Image.Image
"""A path or URI, the content of a file, a uint8 array, or a Pillow image."""


def load_image(source: ImageSource, max_pixels: int = MAX_PIXELS) -> Pixels:
    """Load an image as 8-bit sRGB pixels, as a viewer would show it.

    Orientation, colour profile and transparency are applied: see `roi_ray/imaging/README.md`.

    Args:
        source: a path, `file://` or `s3://` URI, the bytes of an image file, or a Pillow image. A
            uint8 array (height, width, 3) is returned unchanged.
        max_pixels: largest width times height that is decoded.

    Returns:
        uint8, (height, width, 3): sRGB, 0..255.

    Raises:
        ImageReadError: the file is missing, empty, truncated or not an image; or an array has
            another type or shape.
        ImageTooLarge: the image has more than `max_pixels` pixels.
        StorageError: S3 refuses the credentials or does not answer.

    Examples:
        >>> from roi_ray.sweep import photographs
        >>> path = photographs()["chelsea"]
        >>> pixels = load_image(path)
        >>> pixels.shape, pixels.dtype
        ((300, 451, 3), dtype('uint8'))
        >>> bool((load_image(path.read_bytes()) == pixels).all())
        True
    """
    return _load(source, max_pixels, decode_image, convert_image, (3,))


def load_mask(source: ImageSource, max_pixels: int = MAX_PIXELS) -> Pixels:
    """Load a mask of the region of interest; the luma of a colour image is used.

    Args:
        source: see `load_image`; but an array is uint8 or bool, (height, width).
        max_pixels: see `load_image`.

    Returns:
        uint8, (height, width): 0 outside the region of interest, 255 inside.

    Raises:
        ImageReadError: as `load_image`; or a pixel of the mask is transparent.
        ImageTooLarge, StorageError: as `load_image`.
    """
    if isinstance(source, np.ndarray) and source.dtype == bool:
        source = source * np.uint8(255)
    return _load(source, max_pixels, decode_mask, convert_mask, ())


def read_image_file(uri: str) -> bytes:
    """Read the file of an image.

    Raises:
        ImageReadError: the file cannot be read.
        AccessError, StorageUnavailable: the storage fails, which is not the fault of the file.
    """
    try:
        return storage.read_bytes(uri)
    except (AccessError, StorageUnavailable):
        raise
    except StorageError as error:
        raise ImageReadError(str(error)) from error


def _load(
    source: ImageSource,
    max_pixels: int,
    decode: Callable[[bytes, int], Pixels],
    convert: Callable[[Image.Image, int], Pixels],
    channels: tuple[int, ...],
) -> Pixels:
    if isinstance(source, np.ndarray):
        check_pixels(source, channels)
        return source
    if isinstance(source, Image.Image):
        return convert(source, max_pixels)
    if isinstance(source, bytes):
        return decode(source, max_pixels)
    if not isinstance(source, str | os.PathLike):
        raise UsageError(
            f"an image cannot be read from an object of type {type(source).__name__}; give a path, "
            "a URI, the bytes of a file, a uint8 array or a Pillow image"
        )
    uri = os.fspath(source)
    data = read_image_file(uri)
    try:
        return decode(data, max_pixels)
    except ImageError as error:
        raise type(error)(f"{uri}: {error}") from error
