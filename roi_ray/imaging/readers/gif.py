"""Read the first frame of GIF by Pillow, and place it as browsers do.

GIF89a Specification (CompuServe, 1990). Browsers ignore its background colour.
"""

import re
import struct
from dataclasses import replace

import numpy as np

from roi_ray.imaging.raster import Raster
from roi_ray.imaging.readers.pillow import read_pillow
from roi_ray.imaging.samples import place_on_canvas

_HEADER = 13
_BLOCK = re.compile(b"[!,;]")


def read_gif(data: bytes, max_pixels: int) -> Raster:
    """Read the first frame; pixels of the canvas that it does not cover are transparent.

    Raises:
        ImageReadError, ImageTooLarge: see `decode_image`.
    """
    raster = read_pillow(data, max_pixels, ("GIF",))
    left, top, width, height = _find_first_frame(data)
    area = np.s_[top : top + height, left : left + width]
    if raster.has_alpha or raster.samples[area].shape[:2] == raster.samples.shape[:2]:
        return raster  # Pillow surrounds a frame that has transparent pixels by such pixels
    samples = place_on_canvas(raster.samples[area], raster.samples.shape[:2], (top, left))
    return replace(raster, samples=samples, has_alpha=True)


def _find_first_frame(data: bytes) -> tuple[int, int, int, int]:
    """Return left, top, width and height of the first image (clause 20)."""
    position = _HEADER + (6 << (data[10] & 7) if data[10] & 0x80 else 0)
    while (match := _BLOCK.search(data, position)) and match[0] == b"!":
        position = match.end() + 1
        while length := data[position]:
            position += 1 + length
        position += 1
    start = match.end() if match else len(data)
    left, top, width, height = struct.unpack_from("<4H", data, start)
    return left, top, width, height
