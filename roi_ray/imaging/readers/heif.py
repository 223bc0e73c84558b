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
from roi_ray.imaging.samples import Samples


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
    configuration = coded.get(b"hvcC")
    stream = hevc.read_video_signal(configuration) if configuration else hevc.VideoSignal()
    colours = read_colours(still)
    cicp, profile, depth = colours.cicp, colours.icc_profile, int(bits or 8)
    if profile is None and cicp is None:
        cicp = stream.cicp
    samples = samples if samples.ndim == 3 else samples[..., None]
    ranges = (colours.is_full_range, stream.is_full_range)  # nclx goes before the stream
    if samples.shape[2] < 3 and next((full for full in ranges if full is not None), True) is False:
        samples = np.concatenate([_expand_range(samples[..., :1], depth), samples[..., 1:]], 2)
    return Raster(
        match_profile(samples, profile),
        depth,
        has_alpha=letters.endswith("A"),
        icc_profile=profile,
        cicp=None if profile is not None or cicp == Cicp(2, 2) else cicp,
    )


def _expand_range(luma: Samples, bit_depth: int) -> Samples:
    """Scale luma of limited range to the full one, as libheif does for colour images alone.

    ITU-T H.273, equation 20: black is 16 and white 235 at 8 bits.
    """
    white, unit = (1 << bit_depth) - 1, 1 << (bit_depth - 8)
    values = (np.arange(white + 1) - 16 * unit) * (white / (219 * unit))
    table = np.rint(values).clip(0, white).astype(luma.dtype)
    expanded: Samples = table[luma]
    return expanded


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
