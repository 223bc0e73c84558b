"""Read the first frame of GIF by Pillow, and place it as browsers do.

GIF89a Specification (CompuServe, 1990). Browsers ignore its background colour.
"""

import struct
from dataclasses import replace

import numpy as np

from roi_ray.imaging.limits import find_gif_frame
from roi_ray.imaging.raster import Raster
from roi_ray.imaging.readers.pillow import read_pillow
from roi_ray.imaging.samples import place_on_canvas


def read_gif(data: bytes, max_pixels: int) -> Raster:
    """Read the first frame; pixels of the canvas that it does not cover are transparent.

    Raises:
        ImageReadError, ImageTooLarge: see `decode_image`.
    """
    raster = read_pillow(data, max_pixels, ("GIF",))
    left, top, width, height = struct.unpack_from("<4H", data, find_gif_frame(data))  # clause 20
    area = np.s_[top : top + height, left : left + width]
    if raster.has_alpha or raster.samples[area].shape[:2] == raster.samples.shape[:2]:
        return raster  # Pillow surrounds a frame that has transparent pixels by such pixels
    samples = place_on_canvas(raster.samples[area], raster.samples.shape[:2], (top, left))
    return replace(raster, samples=samples, has_alpha=True)
