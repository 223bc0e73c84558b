"""Convert Pillow images to 8-bit sRGB or masks, by the pixel policy in `README.md`."""

import numpy as np
from PIL import ExifTags, Image

from roi_ray.errors import ImageReadError
from roi_ray.imaging.icc import convert_to_srgb

_16_BIT_MODES = ("I;16", "I;16L", "I;16B", "I;16N")
_TRANSPOSITIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""Transposition that turns an image upright, by its EXIF orientation."""

_TAG_DEPTH, _TAG_PHOTOMETRIC, _TAG_SAMPLE_FORMAT = 258, 262, 339

XMP_KEYS = ("xmp", "XML:com.adobe.xmp")
"""Keys of XMP metadata in Pillow's `image.info`."""

_GREY_FACTORS = {"L;2": 85, "L;4": 17}
"""Factor from a grey level of 2 or 4 bits, as a PNG stores it, to one of 8 bits."""


def convert_to_rgb(image: Image.Image) -> Image.Image:
    """Convert a Pillow image to 8-bit sRGB, upright and composited over white.

    Returns:
        an image of mode RGB.

    Raises:
        ImageReadError: the image is outside the policy.
    """
    _check_depth(image)
    profile = image.info.get("icc_profile")
    image = _reduce_to_8_bits(_turn_upright(image))
    if image.mode == "P":
        image = image.convert("RGBA" if "transparency" in image.info else "RGB")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        # A grey profile applies to the grey channel, not to RGB.
        is_grey = image.mode in ("L", "LA")
        colour = image.getchannel("L") if is_grey else rgba.convert("RGB")
        white = Image.new("RGB", image.size, "white")
        return Image.composite(convert_to_srgb(colour, profile), white, rgba.getchannel("A"))
    return convert_to_srgb(image, profile)


def convert_to_mask(image: Image.Image) -> Image.Image:
    """Convert a Pillow image to an upright mask; the luma of a colour image is used.

    Returns:
        an image of mode L: 0 outside the region of interest, 255 inside.

    Raises:
        ImageReadError: the image is outside the policy, or one of its pixels is transparent.
    """
    _check_depth(image)
    image = _reduce_to_8_bits(_turn_upright(image))
    if image.has_transparency_data and np.asarray(image.convert("RGBA"))[..., 3].min() < 255:
        raise ImageReadError(
            "the mask has transparent pixels; draw it opaque, white inside the region and black "
            "outside"
        )
    return image.convert("L")


def _check_depth(image: Image.Image) -> None:
    """Refuse pixels whose values Pillow misreads, and correct a PNG's transparent grey level."""
    has_colour_key = image.format == "PNG" and "transparency" in image.info
    raw_modes = [tile.args for tile in getattr(image, "tile", ())] if has_colour_key else []
    if any(";16" in raw_mode for raw_mode in raw_modes):
        # The reduction to 8 bits merges the transparent colour with its neighbours.
        raise ImageReadError(
            "a transparent colour (tRNS) at 16 bits per channel is not supported; use an alpha "
            "channel"
        )
    for raw_mode in raw_modes[:1]:  # Pillow scales the pixels to 8 bits, but not this value
        image.info["transparency"] *= _GREY_FACTORS.get(raw_mode, 1)
    tags = getattr(image, "tag_v2", None)
    if tags is None:
        return
    depth, sample_format = tags.get(_TAG_DEPTH, (1,)), tags.get(_TAG_SAMPLE_FORMAT, (1,))
    white_is_zero = tags.get(_TAG_PHOTOMETRIC) == 0
    if image.mode == "L" and 2 in sample_format:
        raise ImageReadError("a grey TIFF of signed values is not supported")
    # Above 8 bits, Pillow returns the stored values without regard to what they mean.
    if not image.mode.startswith("I"):
        return
    if depth != (16,) or sample_format != (1,) or white_is_zero:
        raise ImageReadError(
            f"a grey TIFF of {depth[0]} bits"
            + (" (signed or floating-point)" if sample_format != (1,) else "")
            + (" (0 is white)" if white_is_zero else "")
            + " is not supported; above 8 bits, only unsigned 16 bits with 0 as black are read"
        )


def _turn_upright(image: Image.Image) -> Image.Image:
    """Apply the EXIF orientation; loads the pixels."""
    for key in XMP_KEYS:  # or Pillow would use XMP's orientation, which the policy ignores
        image.info.pop(key, None)
    image.load()
    try:
        method = _TRANSPOSITIONS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # unreadable EXIF is ignored by policy, and can raise anything
        return image
    return image if method is None else image.transpose(method)


def _reduce_to_8_bits(image: Image.Image) -> Image.Image:
    if image.mode == "La":  # grey with premultiplied alpha
        return image.convert("LA")
    if image.mode == "F":
        raise ImageReadError("floating-point pixels are not supported: their range is unknown")
    if image.mode == "I" or image.mode in _16_BIT_MODES:
        values = np.asarray(image)
        if values.min() < 0 or values.max() > 0xFFFF:
            raise ImageReadError("more than 16 bits per channel are not supported")
        return Image.fromarray((values >> 8).astype(np.uint8))
    return image
