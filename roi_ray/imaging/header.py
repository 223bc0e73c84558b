"""Read the size of an image from the beginning of its file."""

import struct
from typing import NamedTuple

from roi_ray.errors import ImageReadError, ImageTooLarge
from roi_ray.imaging.decode import READERS
from roi_ray.imaging.formats import identify
from roi_ray.imaging.readers.jpeg import read_frame


class ImageHeader(NamedTuple):
    """Size of an image, as its file's header names it.

    Attributes:
        height, width: pixels, before the image is turned upright.
        bit_depth: largest number of bits per sample that the decoded image may have.
        format: name of the format, see `identify`.
    """

    height: int
    width: int
    bit_depth: int
    format: str

    @property
    def pixels(self) -> int:
        """Number of pixels."""
        return self.height * self.width


def read_image_header(data: bytes) -> ImageHeader:
    """Read the size of an image without decoding it.

    Args:
        data: the file's content, or its beginning, which suffices for most formats. TIFF may have
            its header at the end, and of AVIF and HEIC the reader wants the compressed pixels too.

    Raises:
        ImageReadError: the file is not an image, or its header is damaged or incomplete.
    """
    name = identify(data)
    try:
        if name in _PARSERS:
            height, width, bit_depth = _PARSERS[name](data)
            return ImageHeader(height, width, max(8, bit_depth), name)
        READERS[name](data, 0)  # every reader checks the size before it decodes
    except ImageTooLarge as error:
        if error.size is not None:
            return ImageHeader(*error.size, 16, name)
    except Exception as error:  # readers raise almost every type on incomplete files
        raise ImageReadError(f"the header cannot be read: {error}") from error
    raise ImageReadError("the header names no size")


def read_stated_header(data: bytes) -> ImageHeader | None:
    """Read the size of an image, if its format states it at a place of its own.

    Unlike `read_image_header`, it uses no decoder, which a hostile file might kill.

    Returns:
        the size; None for a file of another format, or none of an image.

    Raises:
        ImageReadError: the header is damaged or incomplete.
    """
    try:
        name = identify(data)
    except ImageReadError:
        return None
    return read_image_header(data) if name in _PARSERS else None


def _parse_png(data: bytes) -> tuple[int, int, int]:
    """PNG Specification, third edition, 11.2.1."""
    width, height, bit_depth = struct.unpack_from(">IIB", data, 16)
    return height, width, bit_depth


def _parse_jpeg(data: bytes) -> tuple[int, int, int]:
    frame = read_frame(data)
    return frame.height, frame.width, frame.bit_depth


def _parse_gif(data: bytes) -> tuple[int, int, int]:
    """GIF89a, 18: the logical screen."""
    width, height = struct.unpack_from("<HH", data, 6)
    return height, width, 8


def _parse_bmp(data: bytes) -> tuple[int, int, int]:
    """The size in a BITMAPCOREHEADER, of 16 bits, or a BITMAPINFOHEADER, of 32 and signed."""
    (header_size,) = struct.unpack_from("<I", data, 14)
    width, height = struct.unpack_from("<HH" if header_size == 12 else "<ii", data, 18)
    return abs(height), abs(width), 8


def _parse_webp(data: bytes) -> tuple[int, int, int]:
    """RFC 9649, 2.7 (VP8X) and 3.4 (VP8L), and RFC 6386, 9.1 (VP8)."""
    kind = data[12:16]
    if kind == b"VP8X":
        width, height = (1 + int.from_bytes(data[at : at + 3], "little") for at in (24, 27))
    elif kind == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        width, height = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    else:
        width, height = (size & 0x3FFF for size in struct.unpack_from("<HH", data, 26))
    return height, width, 8


_PARSERS = {
    "BMP": _parse_bmp,
    "GIF": _parse_gif,
    "JPEG": _parse_jpeg,
    "PNG": _parse_png,
    "WEBP": _parse_webp,
}
"""Formats whose size has a place of its own: height, width and bits per sample."""
