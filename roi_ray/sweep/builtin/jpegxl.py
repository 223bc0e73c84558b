"""JPEG XL by libjxl."""

from collections.abc import Callable
from dataclasses import dataclass

import imagecodecs

from roi_ray.sweep.builtin.codec import BuiltinCodec
from roi_ray.sweep.builtin.imagecodecs_library import DEPTH, require_library, samples_of
from roi_ray.sweep.builtin.libjxl_encoder import encode_jpegxl
from roi_ray.sweep.builtin.options import Option, Options
from roi_ray.sweep.codec import QualityScale
from roi_ray.sweep.source import SourceImage


@dataclass(frozen=True, kw_only=True)
class JpegXlCodec(BuiltinCodec):
    """JPEG XL by libjxl, of 8 or 16 bits. The files are tagged as sRGB."""

    name = "jpegxl"
    description = "JPEG XL"
    file_suffix = ".jxl"
    options = (DEPTH, Option("effort", "1 fast .. 10 small", 7, range(1, 11)))

    @classmethod
    def make_scale(cls, values: Options) -> QualityScale:
        """Return the scale, the distance of `cjxl -d`."""
        return QualityScale(
            "distance of cjxl -d; 0 is lossless",
            0,
            25,
            (1, 2, 4, 8, 15),
            step=0.01,
            higher_is_better=False,
        )

    def version(self) -> str:
        """Return the version of libjxl."""
        return require_library("JPEG XL", imagecodecs.jpegxl_version)

    def prepare(self, image: SourceImage, quality: float) -> Callable[[], bytes]:
        """Return the function that encodes the image at a distance."""
        values = dict(self.values)
        samples = samples_of(image, values["depth"])
        return lambda: encode_jpegxl(samples, quality, int(values["effort"]))

    def run_decoder(self, data: bytes) -> object:
        """Decode a file with libjxl, in one thread."""
        return imagecodecs.jpegxl_decode(data, numthreads=1)
