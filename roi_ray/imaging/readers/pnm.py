"""Read PNM: PBM, PGM and PPM, binary or as text, with any maximum from 1 to 65535.

Specification: the pages pbm(5), pgm(5) and ppm(5) of Netpbm. Samples are taken for sRGB, as all
viewers do, although ppm(5) names the transfer function of BT.709.
"""

import re

import numpy as np
from numpy.typing import NDArray

from roi_ray.errors import ImageReadError
from roi_ray.imaging.limits import check_pixel_count
from roi_ray.imaging.raster import Raster
from roi_ray.imaging.samples import Samples, sample_type, scale

_TOKEN = re.compile(rb"(?:\s|#[^\n\r]*[\n\r])*+(\d{1,10})(?=[\s#])")
_COMMENT = re.compile(rb"#[^\n\r]*")
_GAP = re.compile(rb"\s")
_TEXT_PART = 1 << 20
"""Bytes of text that are parsed at a time."""

_TOO_FEW = "cannot be decoded: the PNM has too few samples; it may be truncated"
_TOO_LARGE = "cannot be decoded: a PNM sample of {} exceeds the maximum of {}"
_WHITESPACE = b" \t\n\v\f\r"


def read_pnm(data: bytes, max_pixels: int) -> Raster:
    """Read the first image of a PNM file.

    A maximum of 2^n - 1 with n of 8 to 16 gives samples of n bits, unchanged. Others are scaled,
    rounded: below 255 to 8 bits, above to 16.

    Raises:
        ImageReadError, ImageTooLarge: see `decode_image`.
    """
    kind, position = data[1] - ord("0"), 2
    is_bitmap, is_text = kind in (1, 4), kind <= 3
    numbers = []
    for _ in range(2 if is_bitmap else 3):
        match = _TOKEN.match(data, position)
        if match is None:
            raise ImageReadError("cannot be decoded: the PNM's header is damaged or truncated")
        numbers.append(int(match[1]))
        position = match.end()
    width, height, white = (*numbers, 1)[:3]
    if not width * height or not 0 < white <= 0xFFFF:
        raise ImageReadError(
            f"cannot be decoded: a PNM of {width} x {height} with a maximum of {white}, which must "
            "be 1 to 65535"
        )
    check_pixel_count(width, height, max_pixels)
    shape = (height, width, 3 if kind in (3, 6) else 1)
    samples: Samples
    if is_bitmap and is_text:
        samples = _read_bits_of_text(data[position:], shape)
    elif is_text:
        samples = _read_text(data[position:], shape, white)
    elif is_bitmap:
        rows = _read_binary(data, position + 1, (height, (width + 7) // 8, 1), "u1")
        samples = np.unpackbits(rows[..., 0], axis=1, count=width)[..., None]
    else:
        samples = _read_binary(data, position + 1, shape, "u1" if white < 256 else ">u2")
    if is_bitmap:
        return Raster(np.where(samples == 1, np.uint8(0), np.uint8(255)))
    return _to_raster(samples, white)


def _read_binary(data: bytes, start: int, shape: tuple[int, ...], kind: str) -> Samples:
    count, dtype = int(np.prod(shape)), np.dtype(kind)
    if len(data) - start < count * dtype.itemsize:
        raise ImageReadError(_TOO_FEW)
    return np.frombuffer(data, dtype, count, start).reshape(shape)


def _read_bits_of_text(text: bytes, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Read the digits 0 and 1, which need no space between them."""
    digits = _COMMENT.sub(b"", text).translate(None, _WHITESPACE)
    count = int(np.prod(shape))
    if len(digits) < count:
        raise ImageReadError(_TOO_FEW)
    samples = np.frombuffer(digits, np.uint8, count) - np.uint8(ord("0"))
    if samples.max() > 1:
        raise ImageReadError("cannot be decoded: a PBM with other digits than 0 and 1")
    return samples.reshape(shape)


def _read_text(text: bytes, shape: tuple[int, ...], white: int) -> NDArray[np.uint16]:
    """Read decimal numbers, part by part: numpy's parser needs 8 bytes for each."""
    text = _COMMENT.sub(b"", text) if b"#" in text else text
    samples = np.empty(int(np.prod(shape)), np.uint16)
    position = filled = 0
    while filled < len(samples):
        gap = _GAP.search(text, min(position + _TEXT_PART, len(text)))
        end = gap.start() if gap else len(text)
        part = text[position:end].strip()
        if part.translate(None, b"0123456789" + _WHITESPACE):
            raise ImageReadError("cannot be decoded: the PNM's samples are not decimal numbers")
        if not part and end == len(text):
            raise ImageReadError(_TOO_FEW)
        if part:
            # A number of many digits is clipped to the largest integer, which is refused.
            numbers = np.fromstring(part.decode("ascii"), np.int64, sep=" ")
            numbers = numbers[: len(samples) - filled]
            if numbers.max() > white:
                raise ImageReadError(_TOO_LARGE.format(numbers.max(), white))
            samples[filled : filled + len(numbers)] = numbers
            filled += len(numbers)
        position = end
    return samples.reshape(shape)


def _to_raster(samples: Samples, white: int) -> Raster:
    """Scale samples to a number of bits, if their maximum is not that of a number of bits."""
    if samples.max() > white:
        raise ImageReadError(_TOO_LARGE.format(samples.max(), white))
    if white < 255:
        return Raster(scale(samples, white, 8))
    bits = white.bit_length()
    if white != (1 << bits) - 1:
        return Raster(scale(samples, white, 16), 16)
    return Raster(samples.astype(sample_type(bits), copy=False), bits)
