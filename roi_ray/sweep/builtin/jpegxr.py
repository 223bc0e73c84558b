"""JPEG XR by jxrlib."""

from collections.abc import Callable
from dataclasses import dataclass

import imagecodecs

from roi_ray.errors import CodecError
from roi_ray.sweep.builtin.codec import BuiltinCodec
from roi_ray.sweep.builtin.imagecodecs_library import require_library, samples_of
from roi_ray.sweep.builtin.options import Option, Options
from roi_ray.sweep.codec import QualityScale
from roi_ray.sweep.source import SourceImage


@dataclass(frozen=True, kw_only=True)
class JpegXrCodec(BuiltinCodec):
    """JPEG XR by jxrlib, with the quantizers of its program JxrEncApp.

    These differ between 8 and 16 bits, so the depth never follows the source.
    """

    name = "jpegxr"
    description = "JPEG XR"
    variants = ({"depth": 16},)
    file_suffix = ".jxr"
    options = (Option("depth", "bits per sample of the file", 8, (8, 16)),)

    @classmethod
    def make_scale(cls, values: Options) -> QualityScale:
        """Return the scale, the quality of `JxrEncApp -q`."""
        defaults = (0.01, 0.1, 0.25, 0.4, 0.55)
        if values["depth"] == 16:
            defaults = (0.01, 0.04, 0.07, 0.11, 0.16)
        text = "quality of JxrEncApp -q; 1 is lossless"
        return QualityScale(text, 0.01, 1, defaults, step=0.01)

    def version(self) -> str:
        """Return the version of jxrlib."""
        return require_library("JPEG XR", imagecodecs.jpegxr_version)

    def check_size(self, image: SourceImage, quality: float) -> None:
        """Check that 4:2:0 is possible: jxrlib overlaps two macroblocks of 16 pixels."""
        if dict(self.values)["depth"] == 8 and quality < 0.5 and image.width <= 16:
            raise CodecError(
                "below quality 0.5 (4:2:0), images are at least 17 pixels wide; use 0.5 or more, "
                "or depth=16"
            )

    def prepare(self, image: SourceImage, quality: float) -> Callable[[], bytes]:
        """Return the function that encodes the image."""
        samples = samples_of(image, dict(self.values)["depth"])
        return lambda: bytes(imagecodecs.jpegxr_encode(samples, level=quality))

    def run_decoder(self, data: bytes) -> object:
        """Decode a file with jxrlib."""
        return imagecodecs.jpegxr_decode(data)
