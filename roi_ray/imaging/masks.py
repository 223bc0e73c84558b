"""Check that a mask holds levels: 0 outside the region of interest, the largest value inside.

Many files that look like masks hold something else: values that end at 1, values of 8 bits in a
file of 16, labels, colours of a heat map. Read as levels, most of them are nearly empty masks, and
the numbers under them are wrong without any sign: a mask of 0 and 1 makes `roi_psnr` 24 dB too
good. `README.md` in this folder lists what is refused and what is not.
"""

import numpy as np

from roi_ray.errors import UnusableMask
from roi_ray.imaging.pixels import Pixels, Pixels8, check_pixels
from roi_ray.imaging.samples import Samples, tiles

MAX_LABEL = 33
"""Largest value, of 255, of a mask that may be a map of label numbers, as many as Cityscapes has.

Nobody draws a region of so little weight (an eighth) with hard edges. A soft mask may be as dim:
15 is the peak of an object of 12 x 12 pixels under the 50 x 50 box filter.
"""

_STORED_BITS = (1, 8, 10, 12, 14)
"""Bits per value in which masks are made, and then stored in more bits without scaling them."""

_GREY_DIVISOR = 8
"""R, G and B of a grey pixel differ by at most the mask's largest value divided by this.

Lossy formats change grey pixels by up to 2 levels: WebP and JPEG XL by 1 at any quality, JPEG and
AVIF by 0 (measured on masks and photographs). Label colours of VOC, DAVIS and Cityscapes differ by
at least the half of their largest value.
"""

_MIN_GREY_TOLERANCE = 2
"""R, G and B of a grey pixel of a dim mask may differ by this much, in levels."""

_WHAT_TO_SAVE = "save a grey image, white (the largest value) inside the region and black outside"


def check_mask(mask: Pixels) -> None:
    """Check an array that a caller gives as a mask.

    Args:
        mask: uint8, (height, width).

    Raises:
        ImageReadError: the array has another type or shape.
        UnusableMask: see `check_levels`.
    """
    check_pixels(mask, channels=())
    check_levels(mask)


def check_levels(mask: Samples) -> None:
    """Check that the values of a mask are levels, 0 to 255. A mask of zeros is allowed.

    Args:
        mask: uint8, (height, width).

    Raises:
        UnusableMask: the largest value is 1; or the values are at most `MAX_LABEL`, with hard
            edges, as in a map of label numbers.
    """
    check_range(mask, 8)
    if 0 < mask.max(initial=0) <= MAX_LABEL and _has_hard_edges(mask):
        raise UnusableMask(
            f"the mask has hard edges and no value above {mask.max()} of 255, like a map of label "
            "numbers; give it 255 at the labels of the region and 0 at all others"
        )


def check_range(samples: Samples, bit_depth: int) -> None:
    """Check that the values of a mask use the range of their bit depth.

    Args:
        samples: uint8 or uint16, as stored, before they are rounded to 8 bits.
        bit_depth: bits per sample, 8 to 16.

    Raises:
        UnusableMask: the largest value is not 0, but less than 1.5 of 255; or it is that of fewer
            bits: 1 of any depth, and above 8 bits 255, 1023, 4095 or 16383. A soft mask that has
            exactly such a peak is refused too, as it cannot be told from one on the wrong scale.
    """
    largest, white = int(samples.max(initial=0)), (1 << bit_depth) - 1
    limits = [(1 << bits) - 1 for bits in _STORED_BITS if bits < bit_depth]
    is_nearly_empty = 0 < 2 * 255 * largest < 3 * white
    if not is_nearly_empty and largest not in limits:
        return
    limit = next(limit for limit in limits if limit >= largest)
    raise UnusableMask(
        f"the largest value of the mask is {largest}, but {white} is inside the region; if its "
        f"values go from 0 to {limit}, multiply them by {white / limit:.6g}"
    )


def check_colours(rgb: Pixels8, palette: Pixels8 | None) -> None:
    """Check that a mask of R, G and B is grey.

    Args:
        rgb: uint8, (height, width, 3).
        palette: colours of the palette, uint8, (n, 3), if the pixels come from one.

    Raises:
        UnusableMask: a pixel is coloured; or the palette has colours, which is how label maps are
            stored, and the mask has other pixels than black and white. A palette of greys is
            allowed, and so is a black and white drawing in a palette of a drawing program.
    """
    if palette is not None and _find_colour(palette[None]) is not None and _has_greys(rgb):
        raise UnusableMask(
            "the mask is a palette image with a palette of colours, like a map of labels: its "
            f"pixels are labels and no levels; {_WHAT_TO_SAVE}"
        )
    colour = _find_colour(rgb)
    if colour is not None:
        raise UnusableMask(
            f"the mask has colours, such as R {colour[0]}, G {colour[1]}, B {colour[2]}, like a "
            f"map of labels or a heat map: these are no levels; {_WHAT_TO_SAVE}"
        )


def _find_colour(rgb: Pixels8) -> tuple[int, int, int] | None:
    """Return the most saturated pixel, unless it is grey within the tolerance."""
    tolerance = max(_MIN_GREY_TOLERANCE, int(rgb.max(initial=0)) // _GREY_DIVISOR)
    colour = None
    for tile in tiles(rgb):
        red, green, blue = np.moveaxis(rgb[tile], 2, 0)
        largest = np.maximum(np.maximum(red, green), blue)
        spread = largest - np.minimum(np.minimum(red, green), blue)
        place = np.unravel_index(spread.argmax(), spread.shape)
        if spread[place] > tolerance:
            tolerance = int(spread[place])
            colour = int(red[place]), int(green[place]), int(blue[place])
    return colour


def _has_greys(rgb: Pixels8) -> bool:
    """Check whether a pixel is neither black nor white."""
    return any(
        bool(((rgb[tile] != 0) & (rgb[tile] != 255)).any() or np.ptp(rgb[tile], axis=2).any())
        for tile in tiles(rgb)
    )


def _has_hard_edges(mask: Samples) -> bool:
    """Check whether more than a quarter of all edges are steps of more than half the largest value.

    An edge is a pair of neighbours of different values. In a map of one label all edges are such
    steps, in one of several labels on a background about half, in a soft mask hardly any. A thin
    line under a box filter has them across the line only, so both directions must have them.
    """
    peak = mask.max()
    edges_found = False
    for first, second in ((mask[:, :-1], mask[:, 1:]), (mask[:-1], mask[1:])):
        step = np.maximum(first, second) - np.minimum(first, second)
        edges = int(np.count_nonzero(step))
        if edges and 4 * int(np.count_nonzero(2 * step > peak)) <= edges:
            return False
        edges_found |= edges > 0
    return edges_found
