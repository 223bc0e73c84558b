"""Read HEIC and other HEIF files by libheif, through the optional package `pillow-heif`.

libheif applies rotation, mirroring and the clean aperture. EXIF does not turn an image (see
`transforms.py`).
"""

import numpy as np

from roi_ray.errors import ImageReadError
from roi_ray.imaging.heif import hevc
from roi_ray.imaging.heif.still import (
    Still,
    check_sizes,
    is_derived,
    match_profile,
    read_colours,
    read_still,
)
from roi_ray.imaging.heif.transforms import apply_transforms
from roi_ray.imaging.raster import Cicp, Raster
from roi_ray.imaging.readers.avif import read_avif


def read_heif(data: bytes, max_pixels: int) -> Raster:
    """Read the primary image of a HEIF file.

    Args:
        data: the file's content.
        max_pixels: largest width times height that is decoded.

    Raises:
        ImageReadError: `pillow-heif` is not installed; the boxes are damaged; the clean aperture is
            not of whole pixels; or the image has a codec that libheif does not decode.
        ImageTooLarge: the image or its tiles have too many pixels.
    """
    still = read_still(data, with_tracks=False)
    coded = still.parts[1] if is_derived(still) else still.primary
    if coded.kind == b"av01":  # its brands are only HEIF's general ones
        return read_avif(data, max_pixels)
    check_sizes(still, max_pixels)
    size = _check_transforms(still)
    samples, mode = _decode(data)
    letters, _, bits = mode.partition(";")
    if letters[-1] == "a":
        raise ImageReadError(
            "colours that are premultiplied by alpha are not supported in HEIF; decode the file to "
            "PNG with `heif-convert`"
        )
    if samples.shape[:2] != size:
        raise ImageReadError("cannot be decoded: its pixels do not have the size of its boxes")
    cicp, _, profile = read_colours(still)
    if profile is None and cicp is None:
        cicp = hevc.read_colours(coded.get(b"hvcC")) if coded.get(b"hvcC") else None
    return Raster(
        match_profile(samples if samples.ndim == 3 else samples[..., None], profile),
        int(bits or 8),
        has_alpha=letters.endswith("A"),
        icc_profile=profile,
        cicp=None if profile is not None or cicp == Cicp(2, 2) else cicp,
    )


def _check_transforms(still: Still) -> tuple[int, int]:
    """Refuse a clean aperture that libheif would round; return the final height and width."""
    width, height = still.primary.size
    pixels = np.broadcast_to(np.uint8(0), (height, width))  # one byte of memory
    turned, orientation = apply_transforms(pixels, still.primary.properties)
    height, width = turned.shape
    return (width, height) if orientation > 4 else (height, width)


def _decode(data: bytes) -> tuple[np.ndarray, str]:
    """Decode the primary image; return its samples, and its mode such as "RGB" or "RGBA;10"."""
    try:
        import pillow_heif
    except ImportError as error:
        raise ImageReadError(
            "HEIC and HEIF need the package pillow-heif: `pip install 'roi-ray[heif]'` (its wheels "
            "contain x265, which is under the GPL); or decode the file to PNG with `heif-convert`"
        ) from error
    threads = pillow_heif.options.DECODE_THREADS
    pillow_heif.options.DECODE_THREADS = 1
    try:
        file = pillow_heif.open_heif(data, convert_hdr_to_8bit=False, hdr_to_16bit=False)
    finally:
        pillow_heif.options.DECODE_THREADS = threads
    image = file[file.primary_index]
    return np.asarray(image), image.mode
