"""The image encoders of a sweep, all reached through Pillow, behind one table.

A quality is an integer, and **a higher quality is a better image** for every codec:

| codec    | what its quality is                      | range  | default qualities | bpp         |
|----------|------------------------------------------|--------|-------------------|-------------|
| jpeg     | libjpeg's quality                        | 1..100 | 10 25 50 75 90    | 0.3 .. 2.1  |
| webp     | libwebp's lossy quality                  | 0..100 | 5 20 50 75 90     | 0.2 .. 1.7  |
| jpeg2000 | the PSNR that the encoder aims at, in dB | 15..60 | 27 30 33 37 42    | 0.15 .. 2.1 |
| avif     | libavif's quality                        | 0..100 | 15 35 50 70 90    | 0.15 .. 2.0 |

(bpp: bits of the encoded file per pixel; the median of 26 photographs and graphics.)

JPEG 2000 has no quality scale. OpenJPEG takes either a compression ratio (`rates`: higher is worse,
every image gets the same file size) or a PSNR (`dB`: higher is better, an easy image gets a small
file). The second is what the other codecs' scales do, so it is the one used, with the irreversible
9-7 wavelet and the colour transform, as lossy JPEG 2000 is meant to be.
"""

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from PIL import Image

from roi_ray.errors import ManifestError
from roi_ray.imaging.pixels import Pixels

WEBP_LONGEST = 16_383
"""Pixels of a side that a WebP file can have."""


@dataclass(frozen=True)
class Codec:
    """One encoder and the scale of its quality.

    Attributes:
        name: as it stands in the manifest's `codec` column.
        suffix: of its files, with the dot.
        qualities: the default ones, ascending.
        lowest: the lowest quality that the encoder takes.
        highest: the highest one.
        format: Pillow's name of the file format.
        options: Pillow's save options for a quality.
    """

    name: str
    suffix: str
    qualities: tuple[int, ...]
    lowest: int
    highest: int
    format: str
    options: Callable[[int], dict[str, Any]]

    def encode(self, image: Pixels, quality: int) -> bytes:
        """An encoded file; the same bytes for the same input and the same library versions.

        Args:
            image: uint8 array of shape (height, width, 3), sRGB, 0..255.
            quality: `lowest`..`highest`; higher is better.

        Raises:
            ManifestError: the quality is outside the codec's range, or the image is larger than it
                takes.
        """
        self.check(quality)
        stream = io.BytesIO()
        try:
            Image.fromarray(image).save(stream, self.format, **self.options(quality))
        except (OSError, ValueError, RuntimeError) as error:
            height, width = image.shape[:2]
            raise ManifestError(f"{self.name} takes no {width} x {height}: {error}") from error
        return stream.getvalue()

    def check(self, quality: int) -> None:
        """Raise `ManifestError` if the quality is outside the codec's range."""
        if not self.lowest <= quality <= self.highest:
            raise ManifestError(
                f"{self.name} has no quality {quality}: it goes from {self.lowest} "
                f"to {self.highest}"
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
    # One thread: the number of this machine's cores must not shape the file.
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
"""The codecs by name."""
