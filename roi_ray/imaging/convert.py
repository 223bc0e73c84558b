"""Convert rasters to sRGB or masks, by the pixel policy in `README.md`."""

import numpy as np

from roi_ray.errors import ImageReadError
from roi_ray.imaging.colour import cicp, icc
from roi_ray.imaging.masks import check_colours, check_levels, check_range
from roi_ray.imaging.pixels import HighBitDepthImage, Pixels, Pixels8
from roi_ray.imaging.raster import Raster
from roi_ray.imaging.samples import Samples, scale, tiles

_TURNED_SIDE = 128
"""Side of the tiles in which an image is turned."""


def to_srgb(raster: Raster) -> Pixels:
    """Convert a raster to sRGB at its own bit depth, upright and composited over white.

    The samples of the raster are overwritten where that saves memory.

    Returns:
        (height, width, 3): uint8, or a `HighBitDepthImage` above 8 bits.

    Raises:
        UnsupportedColour: the colours have no equivalent in sRGB.
    """
    bit_depth, orientation = raster.bit_depth, raster.orientation
    colour, alpha = _split(raster)
    # Samples that are a view of the file's bytes cannot be overwritten.
    out = colour if colour.shape[2] == 3 and colour.flags.writeable else None
    if raster.cicp is not None:
        rgb = cicp.convert_to_srgb(colour, bit_depth, raster.cicp, out)
    else:
        rgb = icc.convert_to_srgb(colour, bit_depth, raster.icc_profile, out)
    if alpha is not None:
        rgb = _composite_over_white(rgb, alpha, bit_depth)
    del raster, colour, alpha, out  # frees their memory, if `rgb` is another array
    rgb = _turn_upright(np.ascontiguousarray(rgb), orientation)
    return rgb if bit_depth == 8 else HighBitDepthImage(rgb, bit_depth)


def to_mask(raster: Raster) -> Pixels8:
    """Convert a raster that a user gives as a mask to an upright mask of 8 bits.

    Returns:
        uint8, (height, width): 0 outside the region of interest, 255 inside.

    Raises:
        ImageReadError: a pixel is transparent.
        UnusableMask: the values are not levels; see `roi_ray.imaging.masks`.
    """
    colour = _opaque_colour(raster)
    if colour.shape[2] != 4:  # in CMYK, 0 is white
        check_range(colour, raster.bit_depth)
    colour = _to_grey_or_rgb(colour, raster.bit_depth)
    if colour.shape[2] == 3:
        check_colours(colour, raster.palette)
    mask = _to_upright_luma(colour, raster.orientation)
    check_levels(mask)
    return mask


def to_map(raster: Raster) -> Pixels8:
    """Convert a raster to an upright map of 8 bits, whatever its values.

    Maps that a network has made may be nearly empty; a mask that a user gives may not.

    Returns:
        uint8, (height, width): the luma, 0..255.

    Raises:
        ImageReadError: a pixel is transparent.
    """
    colour = _to_grey_or_rgb(_opaque_colour(raster), raster.bit_depth)
    return _to_upright_luma(colour, raster.orientation)


def _opaque_colour(raster: Raster) -> Samples:
    """Return the colour channels of a mask, (height, width, 1, 3 or 4), after checking its alpha.

    Raises:
        ImageReadError: a pixel is transparent.
    """
    colour, alpha = _split(raster)
    if alpha is not None and alpha.min() < (1 << raster.bit_depth) - 1:
        raise ImageReadError(
            "the mask has transparent pixels; draw it opaque, white inside the region and black "
            "outside"
        )
    return colour


def _to_grey_or_rgb(colour: Samples, bit_depth: int) -> Pixels8:
    """Round the colours of a mask to 8 bits, (height, width, 1 or 3); no profile is applied."""
    colour = _round_to_8_bits(colour, bit_depth)
    return icc.convert_to_srgb(colour, 8, None) if colour.shape[2] == 4 else colour


def _to_upright_luma(colour: Pixels8, orientation: int) -> Pixels8:
    luma = colour[..., 0] if colour.shape[2] == 1 else _to_luma(colour)
    return _turn_upright(np.ascontiguousarray(luma), orientation)


def to_rgba(raster: Raster) -> Pixels8:
    """Convert a raster to 8-bit RGBA; neither the profile nor the orientation is applied."""
    colour, alpha = _split(raster)
    rgb = icc.convert_to_srgb(_round_to_8_bits(colour, raster.bit_depth), 8, None)
    rgba = np.full((*rgb.shape[:2], 4), 255, np.uint8)
    rgba[..., :3] = rgb
    if alpha is not None:
        rgba[..., 3] = _round_to_8_bits(alpha, raster.bit_depth)
    return rgba


def _split(raster: Raster) -> tuple[Samples, Samples | None]:
    """Return views of the colour channels (H, W, C), and of alpha (H, W) if there is one."""
    if raster.has_alpha:
        return raster.samples[..., :-1], raster.samples[..., -1]
    return raster.samples, None


def _composite_over_white(rgb: Samples, alpha: Samples, bit_depth: int) -> Samples:
    white = (1 << bit_depth) - 1
    result = np.empty_like(rgb)
    for tile in tiles(rgb):
        opacity = alpha[tile][..., None].astype(np.uint64 if bit_depth > 8 else np.uint32)
        blended = rgb[tile] * opacity + white * (white - opacity)
        result[tile] = (blended + white // 2) // white  # rounded
    return result


def _to_luma(rgb: Pixels8) -> Pixels8:
    """Compute the luma of ITU-R BT.601, by the integer arithmetic of Pillow's `convert("L")`."""
    luma = np.empty(rgb.shape[:2], np.uint8)
    for tile in tiles(rgb):
        weighted = rgb[tile] @ np.array([19595, 38470, 7471], np.uint32)
        luma[tile] = (weighted + 0x8000) >> 16
    return luma


def _round_to_8_bits(samples: Samples, bit_depth: int) -> Pixels8:
    return samples if bit_depth == 8 else scale(samples, (1 << bit_depth) - 1, 8)


def _turn_upright(samples: Samples, orientation: int) -> Samples:
    """Turn contiguous samples upright, by an EXIF orientation (CIPA DC-008, tag 274)."""
    if orientation == 1:
        return samples
    # Whole pixels are moved, in tiles that fit the cache: four times as fast as numpy's copy.
    pixel = np.dtype((np.void, samples.strides[1]))
    turned: Samples = samples.reshape(*samples.shape[:2], -1).view(pixel)[..., 0]
    if orientation in (5, 6, 7, 8):
        turned = turned.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        turned = turned[::-1]
    if orientation in (2, 3, 6, 7):
        turned = turned[:, ::-1]
    result = np.empty((*turned.shape[:2], *samples.shape[2:]), samples.dtype)
    target = result.reshape(*turned.shape, -1).view(pixel)[..., 0]
    for top in range(0, turned.shape[0], _TURNED_SIDE):
        for left in range(0, turned.shape[1], _TURNED_SIDE):
            tile = np.s_[top : top + _TURNED_SIDE, left : left + _TURNED_SIDE]
            target[tile] = turned[tile]
    return result
