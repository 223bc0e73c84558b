"""JPEG by jpegli, through the optional package pyjpegli."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

import numpy as np

from roi_ray.errors import CodecError
from roi_ray.sweep.builtin.codec import BuiltinCodec
from roi_ray.sweep.builtin.options import Options
from roi_ray.sweep.builtin.pillow import JPEG_MAX_SIDE
from roi_ray.sweep.codec import QualityScale
from roi_ray.sweep.source import SourceImage


@dataclass(frozen=True, kw_only=True)
class JpegliCodec(BuiltinCodec):
    """JPEG by jpegli, as the package pyjpegli configures it: 8 bits, 4:2:0, no options.

    Its quantization tables differ from those of the program cjpegli, and its files are 9 to 14 %
    larger at the same quality of the image. Run cjpegli as an external command to measure that.
    """

    name = "jpegli"
    description = "JPEG by jpegli"
    file_suffix = ".jpg"
    max_side = JPEG_MAX_SIDE
    options = ()

    @classmethod
    def make_scale(cls, values: Options) -> QualityScale:
        """Return the scale, libjpeg's quality as jpegli takes it."""
        return QualityScale(
            "quality of jpegli, with pyjpegli's tables", 1, 100, (5, 25, 50, 75, 90)
        )

    def version(self) -> str:
        """Return the version of pyjpegli; jpegli itself has none."""
        return f"pyjpegli {self._load().__version__}"

    def prepare(self, image: SourceImage, quality: float) -> Callable[[], bytes]:
        """Return the function that encodes the image, rounded to 8 bits per sample."""
        library = self._load()
        samples = np.ascontiguousarray(image.pixels_8)
        return lambda: bytes(
            library.encode(samples, image.width, image.height, quality=round(quality))
        )

    def run_decoder(self, data: bytes) -> object:
        """Decode a file with jpegli's decoder, which differs from libjpeg's by rounding."""
        return self._load().decode(data, max_pixels=None)

    def _load(self) -> ModuleType:
        try:
            return importlib.import_module("pyjpegli")
        except ImportError as error:
            raise CodecError(
                "the package pyjpegli is not installed: pip install 'roi-ray[jpegli]'"
            ) from error
