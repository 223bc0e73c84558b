"""Read BMP, with the bit fields, alpha channels and colour profiles that Pillow leaves out.

Source: "BITMAPV5HEADER structure", Microsoft Win32 documentation. Headers of 12 bytes (OS/2),
palettes, run lengths and 24 bits are left to Pillow.
"""

import struct
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from roi_ray.errors import ImageReadError
from roi_ray.imaging.limits import check_pixel_count
from roi_ray.imaging.raster import Raster
from roi_ray.imaging.readers.pillow import read_pillow
from roi_ray.imaging.samples import Samples, sample_type, scale

_FILE_HEADER = 14
_V3_HEADER, _V5_HEADER = 56, 124
_WINDOWS_HEADERS = (40, 52, _V3_HEADER, 108, _V5_HEADER)
_RGB, _BIT_FIELDS, _JPEG, _PNG, _ALPHA_BIT_FIELDS = 0, 3, 4, 5, 6
_PROFILE_EMBEDDED = b"DEBM"  # "MBED" as a little-endian number


class _Header(NamedTuple):
    """BITMAPFILEHEADER's offset, and the first fields of BITMAPINFOHEADER."""

    offset: int
    size: int
    width: int
    height: int
    bits: int
    compression: int


def read_bmp(data: bytes, max_pixels: int) -> Raster:
    """Read a BMP file.

    An embedded profile is returned; a linked one is ignored, and so are end points and gamma
    (LCS_CALIBRATED_RGB), like gAMA and cHRM in a PNG.

    Raises:
        ImageReadError, ImageTooLarge: see `decode_image`.
    """
    header = _read_header(data)
    if header is None:
        return read_pillow(data, max_pixels, ("BMP",))
    if header.compression in (_JPEG, _PNG):
        raise ImageReadError("a BMP that wraps a JPEG or a PNG is not supported; save it as PNG")
    masks = _read_masks(data, header)
    if any(masks):
        raster = _read_bit_fields(data, header, masks, max_pixels)
    else:
        raster = read_pillow(data, max_pixels, ("BMP",))
    return replace(raster, icc_profile=_read_profile(data, header))


def _read_header(data: bytes) -> _Header | None:
    """Read the header, unless it is one of OS/2 or truncated."""
    if len(data) < _FILE_HEADER + 40:
        return None
    offset, size, width, height = struct.unpack_from("<IIii", data, 10)
    bits, compression = struct.unpack_from("<HI", data, 28)
    header = _Header(offset, size, width, height, bits, compression)
    return header if size in _WINDOWS_HEADERS else None


def _read_masks(data: bytes, header: _Header) -> list[int]:
    """Return the masks of red, green, blue and alpha; all 0 where Pillow reads the pixels."""
    if header.bits == 16 and header.compression == _RGB:
        return [0x7C00, 0x3E0, 0x1F, 0]
    if header.bits not in (16, 32) or header.compression not in (_BIT_FIELDS, _ALPHA_BIT_FIELDS):
        return [0] * 4
    # They are part of the header, or follow one of 40 bytes.
    masks = list(struct.unpack_from("<4I", data.ljust(70, b"\0"), _FILE_HEADER + 40))
    if header.size < _V3_HEADER and header.compression != _ALPHA_BIT_FIELDS:
        masks[3] = 0
    return masks


def _read_bit_fields(data: bytes, header: _Header, masks: list[int], max_pixels: int) -> Raster:
    """Read pixels of 16 or 32 bits; the widest colour channel gives the bit depth, from 8."""
    width, height = header.width, abs(header.height)
    if width <= 0 or not height:
        raise ImageReadError(f"cannot be decoded: a BMP of {width} x {header.height}")
    check_pixel_count(width, height, max_pixels)
    widths = [mask.bit_count() for mask in masks]
    depth = max(8, *widths[:3])
    if not all(masks[:3]) or not all(map(_is_contiguous, masks)) or max(widths) > 16:
        raise ImageReadError(
            f"cannot be decoded: a BMP with the masks {', '.join(f'{mask:#x}' for mask in masks)}"
        )
    pixels = _read_pixels(data, header)
    samples = np.empty((height, width, 3 + bool(masks[3])), sample_type(depth))
    full = (1 << depth) - 1
    for channel, mask in enumerate(masks[: samples.shape[2]]):
        white = (1 << widths[channel]) - 1
        values = (pixels & mask) >> ((mask & -mask).bit_length() - 1)
        samples[..., channel] = values if white == full else scale(values, white, depth)
    if header.height > 0:
        samples = samples[::-1]
    # Some programs leave the alpha channel at 0 although the header names it.
    if masks[3] and not samples[..., 3].any():
        samples = samples[..., :3]
    return Raster(samples, depth, has_alpha=samples.shape[2] == 4)


def _is_contiguous(mask: int) -> bool:
    return mask & (mask + (mask & -mask)) == 0


def _read_pixels(data: bytes, header: _Header) -> Samples:
    """Return the stored pixels, (height, width), uint16 or uint32, in the file's row order."""
    stride = (header.width * header.bits + 31) // 32 * 4
    start = header.offset or _FILE_HEADER + header.size + 12 * (header.size == 40)
    size = stride * abs(header.height)
    if len(data) - start < size:
        raise ImageReadError("cannot be decoded: the BMP has too few pixels; it may be truncated")
    rows = np.frombuffer(data, np.uint8, size, start).reshape(-1, stride)
    return rows[:, : header.width * header.bits // 8].view(f"<u{header.bits // 8}")


def _read_profile(data: bytes, header: _Header) -> bytes | None:
    """Read the profile of a BITMAPV5HEADER, whose offset counts from the header's beginning."""
    if header.size != _V5_HEADER or data[70:74] != _PROFILE_EMBEDDED:
        return None
    offset, size = struct.unpack_from("<II", data.ljust(_FILE_HEADER + _V5_HEADER, b"\0"), 126)
    profile = data[_FILE_HEADER + offset : _FILE_HEADER + offset + size]
    return profile if len(profile) == size > 0 else None
