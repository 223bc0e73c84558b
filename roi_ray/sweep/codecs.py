"""The image encoders of a sweep. All are part of Pillow, which encodes 8 bits per sample.

A quality is an integer, and **a higher quality is a better image** for every codec:

| codec    | what its quality is                      | range  | default qualities | bpp         |
|----------|------------------------------------------|--------|-------------------|-------------|
| jpeg     | libjpeg's quality                        | 1..100 | 10 25 50 75 90    | 0.3 .. 2.1  |
| webp     | libwebp's lossy quality                  | 0..100 | 5 20 50 75 90     | 0.2 .. 1.7  |
| jpeg2000 | the PSNR that the encoder aims at, in dB | 15..60 | 27 30 33 37 42    | 0.15 .. 2.1 |
| avif     | libavif's quality                        | 0..100 | 15 35 50 70 90    | 0.15 .. 2.0 |

(bpp: bits of the encoded file per pixel, median of 26 photographs and graphics.)

JPEG 2000 has no quality scale. OpenJPEG takes either a compression ratio (`rates`: higher is worse,
and every image gets the same file size) or a PSNR (`dB`: higher is better, and a simple image gets
a small file). The PSNR behaves like the quality scales of the other codecs, so it is used here,
with the irreversible 9-7 wavelet and the colour transform, as usual for lossy JPEG 2000.
"""

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from PIL import Image

from roi_ray.errors import UsageError
from roi_ray.imaging.pixels import Pixels8

WEBP_MAX_SIDE = 16_383
"""Longest side of a WebP file, in pixels."""


@dataclass(frozen=True)
class Codec:
    """An encoder and its quality scale.

    Attributes:
        name: name in the manifest's `codec` column.
        suffix: suffix of its files, with the dot.
        qualities: default qualities, ascending.
        lowest: lowest quality that the encoder accepts.
        highest: highest quality that the encoder accepts.
        format: Pillow's name of the file format.
        options: function from a quality to Pillow's save options.
    """

    name: str
    suffix: str
    qualities: tuple[int, ...]
    lowest: int
    highest: int
    format: str
    options: Callable[[int], dict[str, Any]]

    def encode(self, image: Pixels8, quality: int) -> bytes:
        """Encode an image; the same input and library versions give the same bytes.

        Args:
            image: sRGB pixels, uint8, (H, W, 3).
            quality: `lowest`..`highest`; higher is better.

        Returns:
            The encoded file.

        Raises:
            UsageError: the quality is outside the codec's range, or the codec does not support
                images of this size.
        """
        self.check_quality(quality)
        stream = io.BytesIO()
        try:
            Image.fromarray(image).save(stream, self.format, **self.options(quality))
        except (OSError, ValueError, RuntimeError) as error:
            height, width = image.shape[:2]
            raise UsageError(f"{self.name} cannot encode {width} x {height}: {error}") from error
        return stream.getvalue()

    def check_quality(self, quality: int) -> None:
        """Raise `UsageError` if the quality is outside the codec's range."""
        if not self.lowest <= quality <= self.highest:
            raise UsageError(
                f"{self.name} has no quality {quality}; choose {self.lowest} to {self.highest}"
            )


def _jpeg(quality: int) -> dict[str, Any]:
    return {"quality": quality, "optimize": True}


def _webp(quality: int) -> dict[str, Any]:
    return {"quality": quality, "method": 4}


def _jpeg2000(quality: int) -> dict[str, Any]:
    return {
        "quality_mode": "dB",
        "quality_layers": [quality],
        "irreversible": True,
        "mct": 1,
    }


def _avif(quality: int) -> dict[str, Any]:
    # One thread, so that the file does not depend on the machine's number of cores.
    return {"quality": quality, "speed": 6, "max_threads": 1}


CODECS: Mapping[str, Codec] = MappingProxyType(
    {
        codec.name: codec
        for codec in (
            Codec("jpeg", ".jpg", (10, 25, 50, 75, 90), 1, 100, "JPEG", _jpeg),
            Codec("webp", ".webp", (5, 20, 50, 75, 90), 0, 100, "WEBP", _webp),
            Codec("jpeg2000", ".jp2", (27, 30, 33, 37, 42), 15, 60, "JPEG2000", _jpeg2000),
            Codec("avif", ".avif", (15, 35, 50, 70, 90), 0, 100, "AVIF", _avif),
        )
    }
)
"""All codecs by name."""
