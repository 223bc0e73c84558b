"""Decode image files to 8-bit sRGB pixels, as a viewer would show them.

`README.md` in this folder states the pixel policy: which formats are read, how colour, alpha,
depth, orientation and animation are treated, and how hostile files are limited.
"""

import io
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
from PIL import Image, UnidentifiedImageError

from roi_ray.errors import ImageError, ImageReadError, ImageTooLarge
from roi_ray.imaging import limits
from roi_ray.imaging.convert import XMP_KEYS, convert_to_mask, convert_to_rgb
from roi_ray.imaging.icc import read_jpeg2000_profile
from roi_ray.imaging.pixels import Pixels, Pixels8
from roi_ray.settings import MAX_PIXELS

FORMATS = ("PNG", "JPEG", "WEBP", "JPEG2000", "AVIF", "TIFF", "BMP", "GIF", "PPM")

_TAG_TILE_WIDTH, _TAG_TILE_HEIGHT = 322, 323
_MIN_TILE_LIMIT = 1 << 20
"""TIFF tiles of this many pixels are accepted even if `max_pixels` is smaller."""

# Pillow's warning filters and pixel limit belong to the process: see `_limit_pillow`.
_lock = threading.Lock()
_active_decodes = 0
_saved_warnings = warnings.catch_warnings()
_saved_limit: int | None = None


def decode_image(data: bytes, max_pixels: int = MAX_PIXELS) -> Pixels:
    """Decode an image file.

    Args:
        data: the file's content.
        max_pixels: largest width times height that is decoded; checked before decoding.

    Returns:
        uint8, (height, width, 3): sRGB, 0..255.

    Raises:
        ImageReadError: the file is empty, truncated, of an unknown format, or outside the pixel
            policy.
        ImageTooLarge: the image has more than `max_pixels` pixels.
    """
    return _decode(data, max_pixels, convert_to_rgb)


def decode_mask(data: bytes, max_pixels: int = MAX_PIXELS) -> Pixels8:
    """Decode a mask; the luma of a colour image is used.

    Returns:
        uint8, (height, width): 0 outside the region of interest, 255 inside.

    Raises:
        ImageReadError: as `decode_image`; or a pixel of the mask is transparent.
        ImageTooLarge: the image has more than `max_pixels` pixels.
    """
    return _decode(data, max_pixels, convert_to_mask)


def decode_rgba(data: bytes, max_pixels: int = MAX_PIXELS) -> Pixels8:
    """Decode an image and keep its alpha channel.

    Neither the colour profile nor the orientation is applied.

    Returns:
        uint8, (height, width, 4): R, G, B and alpha; an alpha of 255 is opaque.

    Raises:
        ImageReadError, ImageTooLarge: as `decode_image`.
    """
    return _decode(data, max_pixels, lambda image: image.convert("RGBA"))


def convert_image(image: Image.Image, max_pixels: int = MAX_PIXELS) -> Pixels:
    """Convert a Pillow image by the same pixel policy as `decode_image`.

    Args:
        image: image of any mode; it is loaded if it is only open.
        max_pixels: largest width times height that is converted.

    Returns:
        uint8, (height, width, 3): sRGB, 0..255.

    Raises:
        ImageReadError, ImageTooLarge: as `decode_image`.
    """
    return _convert(image, max_pixels, convert_to_rgb)


def convert_mask(image: Image.Image, max_pixels: int = MAX_PIXELS) -> Pixels:
    """Convert a Pillow image to a mask, as `decode_mask` does: uint8, (height, width)."""
    return _convert(image, max_pixels, convert_to_mask)


def _decode(data: bytes, max_pixels: int, convert: Callable[[Image.Image], Image.Image]) -> Pixels8:
    if not data:
        raise ImageReadError("the file is empty (0 bytes)")
    with _raise_image_errors(max_pixels):
        limits.check_decoding_cost(data)
        with _limit_pillow(max_pixels), Image.open(io.BytesIO(data), formats=FORMATS) as image:
            _check_pixels(image, max_pixels)
            if image.format == "JPEG2000" and (profile := read_jpeg2000_profile(data)):
                image.info["icc_profile"] = profile
            return np.asarray(convert(image))


def _convert(
    image: Image.Image, max_pixels: int, convert: Callable[[Image.Image], Image.Image]
) -> Pixels:
    xmp = {key: image.info[key] for key in XMP_KEYS if key in image.info}
    try:
        with _raise_image_errors(max_pixels), _limit_pillow(max_pixels):
            _check_pixels(image, max_pixels)
            return np.asarray(convert(image))
    finally:
        image.info.update(xmp)  # `_turn_upright` removes it from the caller's image


@contextmanager
def _raise_image_errors(max_pixels: int) -> Iterator[None]:
    """Raise whatever Pillow raises as an `ImageError`."""
    try:
        yield
    except ImageError:
        raise
    except Image.DecompressionBombError as error:
        raise ImageTooLarge(
            f"more than the {max_pixels} pixels that --max-pixels (max_pixels) allows"
        ) from error
    except UnidentifiedImageError as error:
        raise ImageReadError(f"not an image of a known format ({', '.join(FORMATS)})") from error
    except Exception as error:  # decoders raise almost every type on damaged files
        raise ImageReadError(f"cannot be decoded: {str(error) or type(error).__name__}") from error


@contextmanager
def _limit_pillow(max_pixels: int) -> Iterator[None]:
    """Set Pillow's pixel limit, and silence its warnings about files.

    Both settings belong to the process. The first thread to enter saves and changes them; the last
    to leave restores them.
    """
    global _active_decodes, _saved_warnings, _saved_limit  # noqa: PLW0603
    with _lock:
        if not _active_decodes:
            _saved_warnings, _saved_limit = warnings.catch_warnings(), Image.MAX_IMAGE_PIXELS
            _saved_warnings.__enter__()
            warnings.filterwarnings("ignore", module=r"PIL\b")
            Image.MAX_IMAGE_PIXELS = max_pixels
        Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS or 0, max_pixels)
        _active_decodes += 1
    try:
        yield
    finally:
        with _lock:
            _active_decodes -= 1
            if not _active_decodes:
                Image.MAX_IMAGE_PIXELS = _saved_limit
                _saved_warnings.__exit__(None, None, None)


def _check_pixels(image: Image.Image, max_pixels: int) -> None:
    if image.width * image.height > max_pixels:
        raise ImageTooLarge(
            f"{image.width} x {image.height} is {image.width * image.height} pixels, "
            f"more than the {max_pixels} that --max-pixels (max_pixels) allows"
        )
    # libtiff decompresses whole tiles, which may be larger than the image.
    tags = getattr(image, "tag_v2", {})
    width, height = (tags.get(tag, 0) for tag in (_TAG_TILE_WIDTH, _TAG_TILE_HEIGHT))
    limit = max(max_pixels, _MIN_TILE_LIMIT)
    if width * height > limit:
        raise ImageTooLarge(
            f"its TIFF tiles of {width} x {height} have more than the {limit} pixels that "
            "--max-pixels (max_pixels) allows"
        )
