"""The image that encoders get, in the forms that they take: pixels, PNG, PPM or Y4M."""

from functools import cached_property
from typing import Literal

import numpy as np

from roi_ray.imaging.pixels import HighBitDepthImage, Pixels, Pixels8, bit_depth_of, to_8_bits
from roi_ray.imaging.samples import scale

InputFormat = Literal["png", "ppm", "y4m"]


class SourceImage:
    """An original, as encoders get it: sRGB pixels without a profile. Each form is made once.

    Args:
        pixels: sRGB, (H, W, 3), uint8 or a `HighBitDepthImage`.
    """

    def __init__(self, pixels: Pixels) -> None:
        self.pixels = pixels
        self._files: dict[tuple[InputFormat, int], bytes] = {}

    @property
    def width(self) -> int:
        """Width in pixels."""
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        """Height in pixels."""
        return int(self.pixels.shape[0])

    @cached_property
    def pixels_8(self) -> Pixels8:
        """The pixels, rounded to 8 bits per sample."""
        return to_8_bits(self.pixels)

    def at_bit_depth(self, bit_depth: int) -> Pixels:
        """Return the pixels at a bit depth, 8 to 16, each sample scaled and rounded."""
        if bit_depth == 8:
            return self.pixels_8
        largest = (1 << bit_depth_of(self.pixels)) - 1
        return HighBitDepthImage(scale(np.asarray(self.pixels), largest, bit_depth), bit_depth)
