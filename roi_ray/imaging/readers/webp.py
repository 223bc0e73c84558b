"""Read WebP: still images by libwebp through imagecodecs, animations by Pillow.

Pillow decodes a still image as an animation of one frame, which gives the same pixels in four times
the memory.
"""

from roi_ray.errors import ImageReadError
from roi_ray.imaging.raster import Raster
from roi_ray.imaging.readers.pillow import (
    open_pillow,
    read_orientation,
    read_pillow,
    read_profile,
    remove_xmp,
)

_FORMATS = ("WEBP",)
_ANIMATION = 0x02
"""Bit of the flags in the VP8X chunk (RFC 9649, 2.7.1)."""


def read_webp(data: bytes, max_pixels: int) -> Raster:
    """Read a WebP image, or the first frame of an animation.

    Args:
        data: the file's content.
        max_pixels: largest width times height that is decoded.

    Raises:
        ImageReadError, ImageTooLarge: see `decode_image`.
    """
    if data[12:16] == b"VP8X" and data[20] & _ANIMATION:
        return read_pillow(data, max_pixels, _FORMATS)
    from imagecodecs import webp_decode

    with open_pillow(data, max_pixels, _FORMATS) as image:
        remove_xmp(image)  # Pillow would take its orientation, which the policy ignores
        profile, orientation = read_profile(image), read_orientation(image.getexif)
        size, has_alpha = (image.height, image.width), image.mode == "RGBA"
    samples = webp_decode(data, hasalpha=has_alpha)
    if samples.shape != (*size, 3 + has_alpha):
        raise ImageReadError("cannot be decoded: its pixels do not have the size of its header")
    return Raster(samples, has_alpha=has_alpha, icc_profile=profile, orientation=orientation)
