"""Decode image files to sRGB pixels at their own bit depth, as a viewer would show them.

`README.md` in this folder states the pixel policy: which formats are read, how colour, alpha,
depth, orientation and animation are treated, and how hostile files are limited.
"""

import io
import struct
from collections.abc import Callable
from typing import TypeVar

from PIL import Image

from roi_ray.errors import ImageError, ImageReadError
from roi_ray.imaging import limits
from roi_ray.imaging.convert import to_map, to_mask, to_rgba, to_srgb
from roi_ray.imaging.formats import identify
from roi_ray.imaging.limits import check_pixel_count
from roi_ray.imaging.pixels import Pixels, Pixels8
from roi_ray.imaging.raster import Raster
from roi_ray.imaging.readers.avif import read_avif
from roi_ray.imaging.readers.bmp import read_bmp
from roi_ray.imaging.readers.gif import read_gif
from roi_ray.imaging.readers.heif import read_heif
from roi_ray.imaging.readers.jpeg import read_jpeg
from roi_ray.imaging.readers.jpeg2000 import read_jpeg2000
from roi_ray.imaging.readers.jpegxl import read_jpegxl
from roi_ray.imaging.readers.jpegxr import read_jpegxr
from roi_ray.imaging.readers.pillow import read_pillow_image
from roi_ray.imaging.readers.png import read_png
from roi_ray.imaging.readers.pnm import read_pnm
from roi_ray.imaging.readers.tiff import read_tiff
from roi_ray.imaging.readers.webp import read_webp
from roi_ray.settings import MAX_PIXELS

_T = TypeVar("_T")

READERS: dict[str, Callable[[bytes, int], Raster]] = {
    "AVIF": read_avif,
    "BMP": read_bmp,
    "GIF": read_gif,
    "HEIF": read_heif,
    "JPEG": read_jpeg,
    "JPEG2000": read_jpeg2000,
    "JPEGXL": read_jpegxl,
    "JPEGXR": read_jpegxr,
    "PNG": read_png,
    "PPM": read_pnm,
    "TIFF": read_tiff,
    "WEBP": read_webp,
}
"""The reader of each format that `identify` names."""


def decode_image(data: bytes, max_pixels: int = MAX_PIXELS) -> Pixels:
    """Decode an image file.

    Args:
        data: the file's content.
        max_pixels: largest width times height that is decoded; checked before decoding.

    Returns:
        sRGB, (height, width, 3): uint8, 0..255; or a `HighBitDepthImage` if the file has more than
        8 bits per sample.

    Raises:
        ImageReadError: the file is empty, truncated, of an unknown format, or outside the pixel
            policy.
        ImageTooLarge: the image has more than `max_pixels` pixels.
        UnsupportedColour: its colours have no equivalent in sRGB, such as HDR (PQ, HLG).
    """
    return _decode(data, max_pixels, to_srgb)


def decode_mask(data: bytes, max_pixels: int = MAX_PIXELS) -> Pixels8:
    """Decode a mask that a user gives, and check that its values are levels.

    Returns:
        uint8, (height, width): 0 outside the region of interest, 255 inside.

    Raises:
        ImageReadError: as `decode_image`; or a pixel of the mask is transparent.
        ImageTooLarge: the image has more than `max_pixels` pixels.
        UnusableMask: the values are not levels: 0 and 1, labels, colours, or those of fewer bits.
    """
    return _decode(data, max_pixels, to_mask)


def decode_map(data: bytes, max_pixels: int = MAX_PIXELS) -> Pixels8:
    """Decode a saliency map that a network has made: a mask of any values, even nearly empty.

    Returns:
        uint8, (height, width): 0 outside the region of interest, 255 inside; of a colour image,
        the luma.

    Raises:
        ImageReadError, ImageTooLarge: as `decode_mask`.
    """
    return _decode(data, max_pixels, to_map)


def decode_rgba(data: bytes, max_pixels: int = MAX_PIXELS) -> Pixels8:
    """Decode an image to 8 bits and keep its alpha channel.

    Neither the colour profile nor the orientation is applied.

    Returns:
        uint8, (height, width, 4): R, G, B and alpha; an alpha of 255 is opaque.

    Raises:
        ImageReadError, ImageTooLarge: as `decode_image`.
    """
    return _decode(data, max_pixels, to_rgba)


def convert_image(image: Image.Image, max_pixels: int = MAX_PIXELS) -> Pixels:
    """Convert a Pillow image by the same pixel policy as `decode_image`.

    Args:
        image: image of any mode. One that is open and not loaded yet is decoded from its file, as
            `decode_image` does, because Pillow's own decoders drop bits and colours of some files.
        max_pixels: largest width times height that is converted.

    Returns:
        sRGB, (height, width, 3); see `decode_image`.

    Raises:
        ImageReadError, ImageTooLarge, UnsupportedColour: as `decode_image`.
    """
    return _convert(image, max_pixels, to_srgb)


def convert_mask(image: Image.Image, max_pixels: int = MAX_PIXELS) -> Pixels8:
    """Convert a Pillow image to a mask, as `decode_mask` does: uint8, (height, width)."""
    return _convert(image, max_pixels, to_mask)


def _decode(data: bytes, max_pixels: int, convert: Callable[[Raster], _T]) -> _T:
    if not data:
        raise ImageReadError("the file is empty (0 bytes)")
    try:
        limits.check_decoding_cost(data)
        return convert(READERS[identify(data)](data, max_pixels))
    except ImageError:
        raise
    except Exception as error:  # decoders raise almost every type on damaged files
        raise _describe_failure(error) from error


def _convert(image: Image.Image, max_pixels: int, convert: Callable[[Raster], _T]) -> _T:
    check_pixel_count(image.width, image.height, max_pixels)
    if (data := _read_unloaded_file(image)) is not None:
        return _decode(data, max_pixels, convert)
    try:
        return convert(read_pillow_image(image))
    except ImageError:
        raise
    except Exception as error:
        raise _describe_failure(error) from error


def _describe_failure(error: Exception) -> ImageReadError:
    """Describe what a decoder raised; Python's own errors mean that data is missing."""
    text = str(error).strip() or type(error).__name__
    if isinstance(error, struct.error | LookupError | EOFError):
        text = "the file is damaged or truncated"
    elif type(error).__module__.startswith("imagecodecs"):
        text = f"the file is damaged or truncated ({text})"
    return ImageReadError(f"cannot be decoded: {text}")


def _read_unloaded_file(image: Image.Image) -> bytes | None:
    """Return the file of a Pillow image that is open at its first frame and not loaded."""
    stream = getattr(image, "fp", None)
    if stream is None or not getattr(image, "tile", None) or image.tell():
        return None
    position = stream.tell()
    try:
        stream.seek(0)
        data: bytes = stream.read()
    except (OSError, ValueError, io.UnsupportedOperation):
        return None
    finally:
        stream.seek(position)
    return data
