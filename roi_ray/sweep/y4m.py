"""Write an image as Y4M (YUV4MPEG2), which video encoders take, and read what decoders write.

A Y4M does not name its colours. These are sRGB's R, G and B, converted to Y, Cb and Cr by the
matrix of BT.601 (ITU-T H.273, MatrixCoefficients 5 and 6, as in JFIF), which `avifenc` assumes for
still images, over the full range (`XCOLORRANGE=FULL`), 4:4:4.

Specification: yuv4mpeg(5) of the MJPEG tools for the header; the tags of more than 8 bits and
`XCOLORRANGE` are those of FFmpeg's yuv4mpegenc.c. Samples of more than 8 bits take two bytes each,
the lower first.
"""

import re

import numpy as np
from numpy.typing import NDArray

from roi_ray.errors import ImageReadError
from roi_ray.imaging.limits import check_pixel_count
from roi_ray.imaging.pixels import HighBitDepthImage, Pixels, bit_depth_of
from roi_ray.imaging.samples import tiles
from roi_ray.settings import MAX_PIXELS

_RED, _BLUE = 0.299, 0.114  # H.273, equation set of MatrixCoefficients 6
_GREEN = 1 - _RED - _BLUE
_FROM_RGB = np.array(
    [
        [_RED, _GREEN, _BLUE],
        [-_RED / (2 - 2 * _BLUE), -_GREEN / (2 - 2 * _BLUE), 0.5],
        [0.5, -_GREEN / (2 - 2 * _RED), -_BLUE / (2 - 2 * _RED)],
    ]
)
_TO_RGB = np.linalg.inv(_FROM_RGB)

_TAGS = {8: "C444", 10: "C444p10", 12: "C444p12", 14: "C444p14", 16: "C444p16"}
_BITS = {tag: bits for bits, tag in _TAGS.items()}
_LONGEST_HEADER = 4096
_FRAME = re.compile(rb"FRAME[^\n]*\n")


def write_y4m(pixels: Pixels, bits: int) -> bytes:
    """Write an image as a Y4M of one frame, 4:4:4, full range, BT.601.

    Args:
        pixels: sRGB, (H, W, 3).
        bits: bits per sample of the file: 8, 10, 12, 14 or 16.
    """
    height, width, _ = pixels.shape
    full, half = (1 << bits) - 1, 1 << (bits - 1)
    white = (1 << bit_depth_of(pixels)) - 1
    planes = np.empty((3, height, width), "u1" if bits == 8 else "<u2")
    samples: NDArray[np.uint8 | np.uint16] = np.asarray(pixels)
    for tile in tiles(samples):
        ycc = np.moveaxis(samples[tile] @ (_FROM_RGB.T * (full / white)), -1, 0)
        ycc[1:] += half
        planes[(slice(None), *tile)] = np.floor(ycc + 0.5).clip(0, full)
    header = f"YUV4MPEG2 W{width} H{height} F25:1 Ip A1:1 {_TAGS[bits]} XCOLORRANGE=FULL\nFRAME\n"
    return header.encode() + planes.tobytes()


def read_y4m(data: bytes, max_pixels: int = MAX_PIXELS) -> Pixels:
    """Read the only frame of a Y4M that a decoder wrote for a Y4M of `write_y4m`.

    So BT.601 is assumed, and the full range, unless the file says that it is limited.

    Returns:
        sRGB, (H, W, 3): of 8 bits; or of 16, if the file has more than 8.

    Raises:
        ImageReadError: not a Y4M, not 4:4:4 (which filter upsamples chroma is not defined), not of
            one frame, or truncated.
        ImageTooLarge: more than `max_pixels` pixels.
    """
    line, _, frames = data[:_LONGEST_HEADER].partition(b"\n")
    if not line.startswith(b"YUV4MPEG2 ") or not (frame := _FRAME.match(frames)):
        raise ImageReadError("not a Y4M file with a frame")
    fields = [field.decode("latin-1") for field in line.split(b" ")[1:] if field]
    tags = {field[0]: field[1:] for field in fields if not field.startswith("X")}
    width, height = (_read_side(tags.get(name, "")) for name in "WH")
    tag = "C" + tags.get("C", "420jpeg")
    if tag not in _BITS:
        raise ImageReadError(
            f"a Y4M of {tag}, and only 4:4:4 is read; have the decoder write PNG, or 4:4:4"
        )
    check_pixel_count(width, height, max_pixels)
    bits = _BITS[tag]
    dtype = np.dtype("u1" if bits == 8 else "<u2")
    count, start = 3 * width * height, len(line) + 1 + frame.end()
    excess = len(data) - start - count * dtype.itemsize
    if excess:
        what = "is truncated" if excess < 0 else "has more than one frame, or data after it"
        raise ImageReadError(f"the Y4M of {width} x {height}, {tag}, {what}")
    planes = np.frombuffer(data, dtype, count, start).reshape(3, height, width)
    return _to_rgb(planes, bits, is_limited="XCOLORRANGE=LIMITED" in fields)


def _read_side(text: str) -> int:
    if not re.fullmatch(r"[1-9]\d{0,8}", text):
        raise ImageReadError("the Y4M's header has no width and height")
    return int(text)


def _to_rgb(planes: NDArray[np.uint8 | np.uint16], bits: int, *, is_limited: bool) -> Pixels:
    """Convert planes Y, Cb, Cr, (3, H, W), to RGB, (H, W, 3), of 8 or 16 bits."""
    unit = 1 << (bits - 8)
    half = 1 << (bits - 1)
    full = (1 << bits) - 1
    # H.273, equations of VideoFullRangeFlag 0 and 1.
    offsets = np.array([16 * unit if is_limited else 0, half, half])
    ranges = np.array([219.0 * unit, 224.0 * unit, 224.0 * unit] if is_limited else 3 * [full])
    bits_of_result = 8 if bits == 8 else 16
    white = (1 << bits_of_result) - 1
    matrix = (_TO_RGB / ranges * white).T
    _, height, width = planes.shape
    result = np.empty((height, width, 3), np.uint8 if bits == 8 else np.uint16)
    samples = np.moveaxis(planes, 0, -1)
    for tile in tiles(samples):
        result[tile] = np.floor((samples[tile] - offsets) @ matrix + 0.5).clip(0, white)
    return result if bits == 8 else HighBitDepthImage(result, bits_of_result)
