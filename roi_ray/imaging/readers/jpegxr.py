"""Read JPEG XR (`.jxr`, `.wdp`): unsigned integer samples, grey, RGB and RGBA.

Clauses are those of ITU-T T.832 (ISO/IEC 29199-2). jxrlib, which decodes, trusts its input: it
reads and writes beyond its buffers where the parts of a file contradict each other. Therefore the
file's directory is parsed here and checked against the header of the coded image, and the decoder
gets a new file that has only the coded image and the tags it needs.
"""

import struct
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from roi_ray.errors import ImageReadError, UnsupportedColour
from roi_ray.imaging.limits import check_pixel_count
from roi_ray.imaging.raster import Raster

# Tags of the file's directory (A.7).
_PIXEL_FORMAT, _TRANSFORM, _ICC_PROFILE = 0xBC01, 0xBC02, 0x8773
_WIDTH, _HEIGHT = 0xBC80, 0xBC81
_IMAGE_OFFSET, _IMAGE_SIZE, _ALPHA_OFFSET, _ALPHA_SIZE = 0xBCC0, 0xBCC1, 0xBCC2, 0xBCC3

_MAX_TAGS = 1000
_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 7: 1}

_ORIENTATIONS = (1, 4, 2, 3, 6, 7, 5, 8)
"""EXIF orientation for each SPATIAL_XFRM_PRIMARY (A.7.19), as shown: none, flipped vertically,
flipped horizontally, both; the same again, after a quarter turn clockwise."""


class _PixelFormat(NamedTuple):
    """A pixel format that is read (A.7.18).

    Attributes:
        channels: number of channels, including alpha.
        bit_depth: bits per sample.
        colour: OUTPUT_CLR_FMT of the coded image (8.3.21): 0 = grey, 7 = RGB.
        depth_code: OUTPUT_BITDEPTH of the coded image (8.3.22).
    """

    channels: int
    bit_depth: int
    colour: int
    depth_code: int


_INTERNAL_COLOURS = {0: (0,), 7: (0, 1, 2, 3)}
"""INTERNAL_CLR_FMT (8.4.2) for each OUTPUT_CLR_FMT: grey, 4:2:0, 4:2:2, 4:4:4."""

_COMMON = bytes.fromhex("24c3dd6f034efe4bb1853d77768dc9")
"""All but the last byte of most identifiers of pixel formats."""
_BGRA = 0x0F
_FORMATS = {
    0x08: _PixelFormat(1, 8, 0, 1),
    0x0B: _PixelFormat(1, 16, 0, 2),
    0x0C: _PixelFormat(3, 8, 7, 1),
    0x0D: _PixelFormat(3, 8, 7, 1),
    0x15: _PixelFormat(3, 16, 7, 2),
    _BGRA: _PixelFormat(4, 8, 7, 1),
    0x16: _PixelFormat(4, 16, 7, 2),
}
_RGBA = bytes.fromhex("2dadc7f58d6add43a7a8a29935261ae9")

_PREMULTIPLIED = "premultiplied alpha"
_FLOAT = "floating-point samples"
_HALF = "half-precision floating-point samples"
_FIXED = "fixed-point samples"
_REFUSED = {
    **dict.fromkeys((0x11, 0x19, 0x1A, 0x1B), _FLOAT),
    **dict.fromkeys((0x3A, 0x3B, 0x3E, 0x42), _HALF),
    **dict.fromkeys((0x12, 0x13, 0x18, 0x1D, 0x1E, 0x3F, 0x40, 0x41), _FIXED),
    **dict.fromkeys((0x10, 0x17), _PREMULTIPLIED),
    **dict.fromkeys((0x1C, 0x1F, 0x2C, 0x2D), "CMYK"),
    **dict.fromkeys((0x09, 0x0A, 0x14), "packed pixels of 5, 6 or 10 bits"),
    0x05: "1 bit per pixel",
    0x0E: "padded pixels (32bppBGR)",
    0x3D: "shared exponents (RGBE)",
}
_FLOAT_RGB = bytes.fromhex("8fd7fee3dbe8cf4a84c1e97f6136b327")
_PREMULTIPLIED_RGBA = bytes.fromhex("50a6c43c27a5374da9163142c7ebedba")


@dataclass(frozen=True)
class _Directory:
    """What the file's directory says: a value per tag, and where larger values are."""

    numbers: dict[int, int]
    contents: dict[int, bytes]

    def require(self, tag: int, name: str) -> int:
        """Return the number of a tag.

        Raises:
            ImageReadError: the file does not have it.
        """
        if tag not in self.numbers:
            raise ImageReadError(f"cannot be decoded: a JPEG XR file without its {name}")
        return self.numbers[tag]


def read_jpegxr(data: bytes, max_pixels: int) -> Raster:
    """Read a JPEG XR file.

    Args:
        data: the file's content.
        max_pixels: largest width times height that is decoded.

    Returns:
        samples of 8 or 16 bits.

    Raises:
        ImageReadError: the file is damaged, or its samples are not unsigned integers of 8 or 16
            bits.
        ImageTooLarge: the image has more than `max_pixels` pixels.
        UnsupportedColour: the samples are CMYK.
    """
    from imagecodecs import jpegxr_decode

    directory = _read_directory(data)
    identifier = directory.contents.get(_PIXEL_FORMAT, b"")
    pixel_format = _find_format(identifier)
    width, height = directory.require(_WIDTH, "width"), directory.require(_HEIGHT, "height")
    check_pixel_count(width, height, max_pixels)
    image = _cut_image(data, directory, _IMAGE_OFFSET, _IMAGE_SIZE)
    _check_header(image, width, height, pixel_format)
    alpha = b""
    if pixel_format.channels == 4 and _ALPHA_OFFSET in directory.numbers:
        alpha = _cut_image(data, directory, _ALPHA_OFFSET, _ALPHA_SIZE)
        grey = pixel_format._replace(colour=0)
        _check_header(alpha, width, height, grey)
    rebuilt = _build_file(identifier, width, height, image, alpha)
    samples = jpegxr_decode(rebuilt).reshape(height, width, pixel_format.channels)
    transform = directory.numbers.get(_TRANSFORM, 0)
    return Raster(
        np.ascontiguousarray(samples),
        pixel_format.bit_depth,
        has_alpha=pixel_format.channels == 4,
        icc_profile=directory.contents.get(_ICC_PROFILE),
        orientation=_ORIENTATIONS[transform] if transform < len(_ORIENTATIONS) else 1,
    )


def _read_directory(data: bytes) -> _Directory:
    """Read the tags of the file's first image (A.6)."""
    start = int.from_bytes(data[4:8], "little")
    count = int.from_bytes(data[start : start + 2], "little")
    if start < 8 or not 0 < count <= _MAX_TAGS or start + 2 + 12 * count > len(data):
        raise ImageReadError("cannot be decoded: a JPEG XR file with a damaged directory")
    numbers: dict[int, int] = {}
    contents: dict[int, bytes] = {}
    for index in range(count):
        tag, kind, length, value = struct.unpack_from("<HHLL", data, start + 2 + 12 * index)
        size = length * _TYPE_BYTES.get(kind, 0)
        if tag in (_PIXEL_FORMAT, _ICC_PROFILE):
            contents[tag] = data[value : value + size] if size > 4 else b""
        elif length == 1 and kind in (1, 3, 4):
            numbers[tag] = value & ((1 << 8 * size) - 1)
    return _Directory(numbers, contents)


def _find_format(identifier: bytes) -> _PixelFormat:
    """Find a pixel format by its identifier, a GUID.

    Raises:
        ImageReadError, UnsupportedColour: it is not read.
    """
    code = identifier[15] if identifier[:15] == _COMMON and len(identifier) == 16 else -1
    if identifier == _RGBA:
        code = _BGRA  # the decoder returns both as RGBA
    if code in _FORMATS:
        return _FORMATS[code]
    what = _REFUSED.get(code)
    if identifier == _FLOAT_RGB:
        what = _FLOAT
    if identifier == _PREMULTIPLIED_RGBA:
        what = _PREMULTIPLIED
    error = UnsupportedColour if what == "CMYK" else ImageReadError
    raise error(
        f"a JPEG XR image of {what or f'pixel format {identifier.hex()}'}, which is not supported; "
        "grey, RGB and RGBA of 8 and 16 bits are: decode it to such a TIFF with `JxrDecApp`"
    )


def _cut_image(data: bytes, directory: _Directory, offset_tag: int, size_tag: int) -> bytes:
    """Return the bytes of a coded image.

    Raises:
        ImageReadError: the file ends before the image does: the decoder would not notice.
    """
    offset = directory.require(offset_tag, "offset of the coded image")
    size = directory.require(size_tag, "size of the coded image")
    if size_tag == _ALPHA_SIZE and offset < size <= len(data):
        size -= offset  # jxrlib writes the end of alpha instead of its size
    if not size or offset + size > len(data):
        raise ImageReadError("cannot be decoded: the JPEG XR file is truncated")
    image = data[offset : offset + size]
    if not image.startswith(b"WMPHOTO\0"):
        raise ImageReadError(
            "cannot be decoded: a JPEG XR file without a coded image where its directory says"
        )
    return image


def _check_header(image: bytes, width: int, height: int, pixel_format: _PixelFormat) -> None:
    """Check that the headers of a coded image agree with the file's directory (8.3, 8.4).

    Raises:
        ImageReadError: they do not: the decoder would write beyond its buffers.
    """
    has_tiles, is_short, has_window = image[9] & 0x80, image[10] & 0x80, image[10] & 0x20
    position = 16 if is_short else 20
    size = struct.unpack_from(">HH" if is_short else ">LL", image, 12)
    if has_tiles:
        counts = int.from_bytes(image[position : position + 3])
        tiles = (counts >> 12) + (counts & 0xFFF)
        position += 3 + tiles * (1 if is_short else 2)
    if has_window:
        position += 3
    internal_colour = image[position] >> 5
    expected = (width - 1, height - 1, pixel_format.colour, pixel_format.depth_code)
    if (*size, image[11] >> 4, image[11] & 15) != expected or (
        internal_colour not in _INTERNAL_COLOURS[pixel_format.colour]
    ):
        raise ImageReadError(
            "cannot be decoded: a JPEG XR file whose directory contradicts its coded image"
        )


def _build_file(identifier: bytes, width: int, height: int, image: bytes, alpha: bytes) -> bytes:
    """Build a file of one coded image, and a second one for alpha, with the tags it needs."""
    tags = {_WIDTH: width, _HEIGHT: height, _IMAGE_OFFSET: 0, _IMAGE_SIZE: len(image)}
    if alpha:
        tags |= {_ALPHA_OFFSET: 0, _ALPHA_SIZE: len(alpha)}
    start = 8 + 2 + 12 * (len(tags) + 1) + 4
    tags[_IMAGE_OFFSET] = start + len(identifier)
    if alpha:
        tags[_ALPHA_OFFSET] = tags[_IMAGE_OFFSET] + len(image)
    entries = struct.pack("<HHLL", _PIXEL_FORMAT, 1, len(identifier), start)
    entries += b"".join(struct.pack("<HHLL", tag, 4, 1, tags[tag]) for tag in sorted(tags))
    directory = struct.pack("<LH", 8, len(tags) + 1) + entries + bytes(4)
    return b"II\xbc\x01" + directory + identifier + image + alpha
