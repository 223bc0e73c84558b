"""AVIF by libavif and aom: through Pillow for 8 bits, through imagecodecs for 10 and 12 bits."""

import ctypes
import importlib
import io
import re
from collections.abc import Callable
from dataclasses import dataclass

import imagecodecs
import numpy as np
from PIL import Image, features
from PIL.AvifImagePlugin import get_codec_version

from roi_ray.sweep.builtin.codec import BuiltinCodec, make_missing_error
from roi_ray.sweep.builtin.imagecodecs_library import require_library
from roi_ray.sweep.builtin.options import SUBSAMPLING, Option, Options
from roi_ray.sweep.codec import QualityScale
from roi_ray.sweep.source import SourceImage

_SRGB_PRIMARIES, _SRGB_TRANSFER, _BT601_MATRIX = 1, 13, 6


@dataclass(frozen=True, kw_only=True)
class AvifCodec(BuiltinCodec):
    """AVIF by libavif and aom.

    Pillow encodes 8 bits only, and imagecodecs is used for more. Their libavif and aom may be of
    different versions, see `version`.
    """

    name = "avif"
    description = "AVIF"
    variants = ({"depth": 10},)
    file_suffix = ".avif"
    max_side = 32_768  # libavif encodes up to 65536, but its decoders refuse such a file
    options = (
        Option("depth", "bits per sample of the file", 8, (8, 10, 12)),
        Option("speed", "0 slow and small .. 10 fast", 6, range(11)),
        Option("subsampling", SUBSAMPLING, 420, (420, 422, 444), is_flag=True),
    )

    @classmethod
    def make_scale(cls, values: Options) -> QualityScale:
        """Return libavif's quality scale. imagecodecs takes 100 for lossless 4:4:4."""
        highest = 100 if values["depth"] == 8 else 99
        return QualityScale("libavif's quality", 0, highest, (15, 35, 50, 70, 90))

    def version(self) -> str:
        """Return the versions of libavif and aom that encode this bit depth."""
        if dict(self.values)["depth"] != 8:
            library = require_library("AVIF", imagecodecs.avif_version)
            return f"{library} with aom {_read_aom_version()}"
        version = features.version("avif")
        if version is None or (aom := get_codec_version("aom")) is None:
            raise make_missing_error("Pillow", "libavif and aom")
        return f"libavif {version} with aom {aom}"

    def prepare(self, image: SourceImage, quality: float) -> Callable[[], bytes]:
        """Return the function that encodes the image at the bit depth of the options."""
        values = dict(self.values)
        depth, speed = int(values["depth"]), int(values["speed"])
        subsampling = str(values["subsampling"])
        # One thread, so that the file does not depend on the machine's number of cores.
        if depth != 8:
            samples = np.asarray(image.at_bit_depth(depth))
            return lambda: bytes(
                imagecodecs.avif_encode(
                    samples,
                    level=round(quality),
                    speed=speed,
                    bitspersample=depth,
                    pixelformat=imagecodecs.AVIF.PIXEL_FORMAT[f"YUV{subsampling}"],
                    codec="aom",
                    primaries=_SRGB_PRIMARIES,
                    transfer=_SRGB_TRANSFER,
                    matrix=_BT601_MATRIX,
                    numthreads=1,
                )
            )
        picture = Image.fromarray(image.pixels_8)

        def save() -> bytes:
            stream = io.BytesIO()
            picture.save(
                stream,
                "AVIF",
                quality=round(quality),
                speed=speed,
                subsampling=":".join(subsampling),
                max_threads=1,
            )
            return stream.getvalue()

        return save

    def run_decoder(self, data: bytes) -> object:
        """Decode a file with libavif and dav1d, in one thread."""
        return imagecodecs.avif_decode(data, numthreads=1)


def _read_aom_version() -> str:
    """Read the version of aom from imagecodecs' libavif, because imagecodecs does not tell it."""
    library = ctypes.CDLL(importlib.import_module("imagecodecs._avif").__file__ or "")
    text = ctypes.create_string_buffer(256)  # the size that libavif's avif.h prescribes
    library.avifCodecVersions(text)
    aom = re.search(r"\baom \[[a-z/]+\]:v?([0-9.]+)", text.value.decode())
    return aom.group(1) if aom else "of unknown version"
