"""HTJ2K, the high-throughput JPEG 2000 (ISO/IEC 15444-15), by OpenJPH."""

from collections.abc import Callable
from dataclasses import dataclass

import imagecodecs

from roi_ray.sweep.builtin.codec import BuiltinCodec
from roi_ray.sweep.builtin.imagecodecs_library import DEPTH, require_library, samples_of
from roi_ray.sweep.builtin.options import Options
from roi_ray.sweep.codec import QualityScale
from roi_ray.sweep.source import SourceImage


@dataclass(frozen=True, kw_only=True)
class Htj2kCodec(BuiltinCodec):
    """HTJ2K by OpenJPH, with the irreversible 9-7 wavelet and the colour transform.

    The files are codestreams without a header of their own; readers take them for sRGB.
    """

    name = "htj2k"
    description = "HTJ2K"
    file_suffix = ".j2c"
    options = (DEPTH,)

    @classmethod
    def make_scale(cls, values: Options) -> QualityScale:
        """Return the scale, the step of `ojph_compress -qstep`."""
        return QualityScale(
            "step of ojph_compress -qstep",
            0.0001,
            0.5,
            (0.03, 0.05, 0.1, 0.17, 0.3),
            step=0.0001,
            higher_is_better=False,
        )

    def version(self) -> str:
        """Return the version of OpenJPH."""
        return require_library("HTJ2K", imagecodecs.htj2k_version)

    def prepare(self, image: SourceImage, quality: float) -> Callable[[], bytes]:
        """Return the function that encodes the image with a quantization step."""
        samples = samples_of(image, dict(self.values)["depth"])
        return lambda: bytes(
            imagecodecs.htj2k_encode(samples, level=quality, planar=False, reversible=False)
        )

    def run_decoder(self, data: bytes) -> object:
        """Decode a file with OpenJPH."""
        return imagecodecs.htj2k_decode(data)
