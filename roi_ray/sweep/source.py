"""The image that encoders get, in the forms that they take: pixels, PNG, PPM or Y4M."""

from collections.abc import Mapping
from functools import cached_property
from typing import Literal

import numpy as np

from roi_ray.errors import UsageError
from roi_ray.imaging.pixels import HighBitDepthImage, Pixels, Pixels8, bit_depth_of, to_8_bits
from roi_ray.imaging.samples import scale
from roi_ray.sweep.y4m import write_y4m

InputFormat = Literal["png", "ppm", "y4m"]

BIT_DEPTHS: Mapping[InputFormat, tuple[int, ...]] = {
    "png": (8, 16),
    "ppm": (8, 10, 12, 16),
    "y4m": (8, 10, 12, 16),
}
"""Bits per sample of the files that an original is written as."""

_PNG_LEVEL = 1  # fast; encoders read it once and for all


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

    def file(self, file_format: InputFormat, bits: int) -> bytes:
        """Return the image as a file without a profile or any other metadata, made once.

        Args:
            file_format: "png" (RGB), "ppm" (binary, P6) or "y4m" (4:4:4, see `sweep.y4m`).
            bits: bits per sample, of `BIT_DEPTHS`; samples are scaled and rounded.

        Raises:
            UsageError: the format does not have samples of so many bits here.
        """
        if bits not in BIT_DEPTHS[file_format]:
            choices = ", ".join(map(str, BIT_DEPTHS[file_format]))
            raise UsageError(f"{file_format} of {bits} bits per sample; choose from {choices}")
        key = (file_format, bits)
        if key not in self._files:
            self._files[key] = self._write(file_format, bits)
        return self._files[key]

    def _write(self, file_format: InputFormat, bits: int) -> bytes:
        if file_format == "y4m":
            return write_y4m(self.pixels, bits)
        samples = np.ascontiguousarray(self.at_bit_depth(bits))
        if file_format == "png":
            import imagecodecs  # encoders that get pixels do not need it

            return bytes(imagecodecs.png_encode(samples, level=_PNG_LEVEL))
        header = f"P6\n{self.width} {self.height}\n{(1 << bits) - 1}\n".encode()
        return header + samples.astype("u1" if bits == 8 else ">u2").tobytes()
