"""Files of more than 8 bits, and of formats that Pillow does not write, for the hostile corpora."""

import io

import imagecodecs
import numpy as np
import pillow_heif
from numpy.typing import NDArray

from roi_ray.imaging.pixels import Pixels8
from tests.imaging.jxl_files import jpegxl_files


def deep_files(photo: Pixels8) -> dict[str, bytes]:
    """Encode a photograph in each of these formats, by a name of the file."""
    wide = photo.astype(np.uint16) * 257
    height, width = photo.shape[:2]
    size = b"%d %d" % (width, height)
    text = " ".join(map(str, wide.reshape(-1) >> 6)).encode()
    return {
        "PNG of 16 bits": imagecodecs.png_encode(wide),
        "grey PNG of 16 bits": imagecodecs.png_encode(np.ascontiguousarray(wide[..., 0])),
        "PPM of 12 bits": b"P6 " + size + b" 4095\n" + (wide >> 4).astype(">u2").tobytes(),
        "PPM of text of 10 bits": b"P3 " + size + b" 1023\n" + text,
        "BMP of 32 bits with alpha": imagecodecs.bmp_encode(
            np.concatenate([photo, photo[..., :1]], axis=2)
        ),
        **_heif_files(wide),
        **jpegxl_files(photo),
        **_jpeg_files(photo),
    }


def _heif_files(wide: NDArray[np.uint16]) -> dict[str, bytes]:
    """Encode AVIF and HEIC of 10 and 12 bits, with and without alpha."""
    transparent = np.ascontiguousarray(np.dstack([wide, wide[..., 0]]))
    files = {}
    for bits in (10, 12):
        samples = transparent if bits == 12 else wide
        files[f"AVIF of {bits} bits"] = imagecodecs.avif_encode(
            samples >> 16 - bits, 60, speed=10, bitspersample=bits, pixelformat="yuv420"
        )
        mode = "RGBA;16" if bits == 12 else "RGB;16"
        heic = pillow_heif.from_bytes(mode, samples.shape[1::-1], samples.tobytes())
        buffer = io.BytesIO()
        heic.save(buffer, quality=50)
        files["HEIC with alpha" if bits == 12 else "HEIC"] = buffer.getvalue()
    return files


def _jpeg_files(photo: Pixels8) -> dict[str, bytes]:
    """Encode JPEG of 12 bits, lossless JPEG, JPEG-LS, JPEG 2000, HTJ2K and JPEG XR."""
    wide = photo.astype(np.uint16) * 257
    transparent = np.ascontiguousarray(np.dstack([wide, wide[..., 0]]))
    grey = np.ascontiguousarray(wide[..., 0])
    return {
        "JPEG of 12 bits": imagecodecs.jpeg8_encode(
            wide >> 4, level=90, bitspersample=12, subsampling="420"
        ),
        "lossless JPEG of 16 bits": imagecodecs.jpeg8_encode(wide, lossless=True, bitspersample=16),
        "JPEG-LS of 16 bits": imagecodecs.jpegls_encode(wide, level=2),
        "JPEG 2000 of 12 bits": imagecodecs.jpeg2k_encode(
            wide >> 4, bitspersample=12, reversible=True, codecformat="jp2"
        ),
        "JPEG 2000 of 10 bits, lossy, with alpha": imagecodecs.jpeg2k_encode(
            transparent >> 6, level=50, bitspersample=10, codecformat="jp2"
        ),
        "HTJ2K of 16 bits": imagecodecs.htj2k_encode(wide),
        "JPEG XR of 8 bits": imagecodecs.jpegxr_encode(photo, level=0.8),
        "JPEG XR of 16 bits with alpha": imagecodecs.jpegxr_encode(transparent, level=1.0),
        "grey JPEG XR of 16 bits": imagecodecs.jpegxr_encode(grey, level=0.5),
    }
