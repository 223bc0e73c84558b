"""The codecs of Pillow, which encodes 8 bits per sample: JPEG, WebP, JPEG 2000."""

import io
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from PIL import Image, features

from roi_ray.sweep.builtin.codec import BuiltinCodec, make_missing_error
from roi_ray.sweep.builtin.options import SUBSAMPLING, Option, Options
from roi_ray.sweep.codec import QualityScale
from roi_ray.sweep.source import SourceImage

JPEG_MAX_SIDE = 65_500
"""Longest side of a JPEG that libjpeg writes, in pixels."""

WEBP_MAX_SIDE = 16_383
"""Longest side of a WebP file, in pixels."""


@dataclass(frozen=True, kw_only=True)
class PillowCodec(BuiltinCodec):
    """A codec of Pillow. Files of the same options and Pillow's libraries are the same."""

    format: ClassVar[str]
    feature: ClassVar[str]
    library: ClassVar[str]

    def version(self) -> str:
        """Return the name and version of the library that Pillow encodes with."""
        version = features.version(self.feature)
        if version is None:
            raise make_missing_error("Pillow", self.library)
        return f"{self.library} {version}"

    @abstractmethod
    def save_options(self, quality: float) -> dict[str, Any]:
        """Return the options of `PIL.Image.Image.save`."""

    def prepare(self, image: SourceImage, quality: float) -> Callable[[], bytes]:
        """Return the function that encodes the image, rounded to 8 bits per sample."""
        picture = Image.fromarray(image.pixels_8)
        options = self.save_options(quality)

        def save() -> bytes:
            stream = io.BytesIO()
            picture.save(stream, self.format, **options)
            return stream.getvalue()

        return save

    def run_decoder(self, data: bytes) -> object:
        """Decode a file with Pillow."""
        with Image.open(io.BytesIO(data), formats=(self.format,)) as picture:
            picture.load()
            return picture


class JpegCodec(PillowCodec):
    """JPEG by libjpeg-turbo."""

    name = "jpeg"
    description = "JPEG"
    file_suffix = ".jpg"
    max_side = JPEG_MAX_SIDE
    format, feature, library = "JPEG", "libjpeg_turbo", "libjpeg-turbo"
    options = (
        Option("subsampling", SUBSAMPLING, 420, (420, 422, 444), is_flag=True),
        Option("progressive", "several scans, from coarse to fine", False),
        Option("optimize", "Huffman tables made for the image", True),
    )

    def version(self) -> str:
        """Return the name and version of the library; Pillow can be built with another libjpeg."""
        libjpeg = features.version("jpg")
        if libjpeg is not None and features.version(self.feature) is None:
            return f"libjpeg {libjpeg}"
        return super().version()

    @classmethod
    def make_scale(cls, values: Options) -> QualityScale:
        """Return libjpeg's quality scale."""
        return QualityScale("libjpeg's quality", 1, 100, (10, 25, 50, 75, 90))

    def save_options(self, quality: float) -> dict[str, Any]:
        """Return Pillow's options. Of a progressive file, the tables are always optimized."""
        values = dict(self.values)
        options: dict[str, Any] = {"quality": round(quality), "optimize": values["optimize"]}
        if values["progressive"]:
            options["progressive"] = True
        if values["subsampling"] != 420:  # 420 is Pillow's default at every quality
            options["subsampling"] = ":".join(str(values["subsampling"]))
        return options


class WebpCodec(PillowCodec):
    """WebP by libwebp, lossy or lossless."""

    name = "webp"
    description = "WebP"
    variants = ({"lossless": True},)
    file_suffix = ".webp"
    max_side = WEBP_MAX_SIDE
    format, feature, library = "WEBP", "webp", "libwebp"
    options = (
        Option("lossless", "exact pixels; the quality is then the effort", False),
        Option("method", "0 fast .. 6 small", 4, range(7)),
    )

    @classmethod
    def make_scale(cls, values: Options) -> QualityScale:
        """Return libwebp's quality scale, which is the effort of a lossless file."""
        if values["lossless"]:
            text = "effort; a higher one is a smaller file"
            return QualityScale(text, 0, 100, (75,), changes_image=False)
        return QualityScale("libwebp's lossy quality", 0, 100, (5, 20, 50, 75, 90))

    def save_options(self, quality: float) -> dict[str, Any]:
        """Return Pillow's options."""
        values = dict(self.values)
        options: dict[str, Any] = {"quality": round(quality), "method": values["method"]}
        return options | ({"lossless": True} if values["lossless"] else {})


class Jpeg2000Codec(PillowCodec):
    """JPEG 2000 by OpenJPEG, with the irreversible 9-7 wavelet and the colour transform.

    JPEG 2000 has no quality scale. OpenJPEG takes either a compression ratio (higher is worse, and
    every image gets the same file size) or a PSNR in dB (higher is better, and a simple image gets
    a small file). The PSNR behaves like the quality scales of other codecs, so it is used.
    """

    name = "jpeg2000"
    description = "JPEG 2000"
    file_suffix = ".jp2"
    format, feature, library = "JPEG2000", "jpg_2000", "OpenJPEG"
    options = ()

    @classmethod
    def make_scale(cls, values: Options) -> QualityScale:
        """Return the scale, a PSNR in dB."""
        text = "PSNR that the encoder aims at, in dB"
        return QualityScale(text, 15, 60, (27, 30, 33, 37, 42), step=0.1)

    def save_options(self, quality: float) -> dict[str, Any]:
        """Return Pillow's options."""
        return {
            "quality_mode": "dB",
            "quality_layers": [quality],
            "irreversible": True,
            "mct": 1,
        }
