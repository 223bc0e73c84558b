"""Load images from wherever a caller has them: paths, URIs, bytes, arrays or Pillow images."""

import os
from collections.abc import Callable
from typing import TypeAlias, cast

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
from roi_ray.imaging.masks import check_mask
from roi_ray.imaging.missing import explain_missing_image
from roi_ray.imaging.pixels import Pixels, Pixels8, check_pixels
from roi_ray.io import storage
from roi_ray.io.allowlist import Allowlist
from roi_ray.settings import MAX_PIXELS

ImageSource: TypeAlias = str | os.PathLike[str] | bytes | Pixels | Image.Image
"""A path or URI, the content of a file, an array of pixels, or a Pillow image."""


def load_image(source: ImageSource, max_pixels: int = MAX_PIXELS) -> Pixels:
    """Load an image as sRGB pixels at the file's own bit depth, as a viewer would show it.

    Orientation, colour profile and transparency are applied: see `roi_ray/imaging/README.md`.

    Args:
        source: a path, `file://` or `s3://` URI, the bytes of an image file, or a Pillow image. An
            array (height, width, 3), uint8 or a `roi_ray.HighBitDepthImage`, is returned unchanged.
        max_pixels: largest width times height that is decoded.

    Returns:
        sRGB, (height, width, 3). Of a file of at most 8 bits per sample, uint8, 0..255. Of a file
        of more, a `HighBitDepthImage`: uint16, 0..2^n - 1, where n is its `bit_depth`, 9 to 16.

    Raises:
        ImageReadError: the file is missing, empty, truncated or not an image; or an array has
            another type or shape. A plain uint16 array is refused, because it does not say which
            value is white.
        ImageTooLarge: the image has more than `max_pixels` pixels.
        UnsupportedColour: its colours have no equivalent in sRGB, such as HDR (PQ, HLG).
        StorageError: S3 refuses the credentials or does not answer.

    Examples:
        >>> from roi_ray.sweep import photographs
        >>> path = photographs()["chelsea"]
        >>> pixels = load_image(path)
        >>> pixels.shape, pixels.dtype
        ((300, 451, 3), dtype('uint8'))
        >>> bool((load_image(path.read_bytes()) == pixels).all())
        True

        The decoder of a codec may give samples of more than 8 bits as an array:

        >>> import numpy as np
        >>> from roi_ray import HighBitDepthImage
        >>> samples = np.full((32, 48, 3), 1023, np.uint16)  # white, in 10 bits
        >>> image = load_image(HighBitDepthImage(samples, bit_depth=10))
        >>> image.dtype, image.bit_depth, (image / (2**image.bit_depth - 1)).max()
        (dtype('uint16'), 10, np.float64(1.0))
    """
    return _load(source, max_pixels, decode_image, convert_image, check_pixels)


def load_mask(source: ImageSource, max_pixels: int = MAX_PIXELS) -> Pixels8:
    """Load a mask of the region of interest, and check that its values are levels.

    Levels go from 0 outside the region to 255 inside; a mask of zeros has no region.

    Args:
        source: see `load_image`; but an array is uint8 or bool, (height, width).
        max_pixels: see `load_image`.

    Returns:
        uint8, (height, width): 0 outside the region of interest, 255 inside.

    Raises:
        ImageReadError: as `load_image`; or a pixel of the mask is transparent.
        UnusableMask: the values are not levels: 0 and 1, labels, colours, or those of fewer bits;
            see `roi_ray/imaging/README.md`.
        ImageTooLarge, UnsupportedColour, StorageError: as `load_image`.
    """
    if isinstance(source, np.ndarray) and source.dtype == bool:
        source = source * np.uint8(255)
    return cast(Pixels8, _load(source, max_pixels, decode_mask, convert_mask, check_mask))


def read_image_file(
    uri: str,
    written: str | None = None,
    base: str = "",
    allowlist: Allowlist | None = None,
    most: int | None = None,
) -> bytes:
    """Read the file of an image.

    Args:
        uri: absolute URI, or local path.
        written: the URI as its user wrote it, for the message if there is no such file.
        base: URI of the folder that `written` is relative to.
        allowlist: folders that may be looked into for the message; by default the file's own.
        most: largest number of bytes that are read of it; None for all.

    Raises:
        ImageReadError: the file cannot be read; where it does not exist, the message says how its
            name differs from that of a file that does.
        AccessError, StorageUnavailable: the storage fails, which is not the fault of the file.
    """
    try:
        return storage.read_bytes(uri, most)
    except (AccessError, StorageUnavailable):
        raise
    except StorageError as error:
        hint = explain_missing_image(written or uri, base, allowlist)
        raise ImageReadError(f"{error}{hint}") from error


def _load(
    source: ImageSource,
    max_pixels: int,
    decode: Callable[[bytes, int], Pixels],
    convert: Callable[[Image.Image, int], Pixels],
    check: Callable[[Pixels], None],
) -> Pixels:
    if isinstance(source, np.ndarray):
        check(source)
        return source
    if isinstance(source, Image.Image):
        return convert(source, max_pixels)
    if isinstance(source, bytes):
        return decode(source, max_pixels)
    if not isinstance(source, str | os.PathLike):
        raise UsageError(
            f"an image cannot be read from an object of type {type(source).__name__}; give a path, "
            "a URI, the bytes of a file, an array of pixels or a Pillow image"
        )
    uri = os.fspath(source)
    data = read_image_file(uri)
    try:
        return decode(data, max_pixels)
    except ImageError as error:
        raise type(error)(f"{uri}: {error}") from error
