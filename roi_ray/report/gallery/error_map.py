"""Maps of visible differences between an image and its reference.

The difference of a pixel is CIEDE2000 (ISO/CIE 11664-6:2014; Sharma, Wu and Dalal, Color Research
and Application 30, 2005) after both images have been blurred a little, because the eye averages
over neighbouring pixels: S-CIELAB's idea (Zhang and Wandell, SID Journal 5, 1997) with one small
Gaussian. About 1 is the smallest difference that can be seen side by side.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from roi_ray.imaging.pixels import Pixels8, check_size

Map = NDArray[np.float32]

BLUR_PIXELS = 1.0
"""Standard deviation of the blur, in pixels."""

SCALES = (1.0, 2.0, 5.0, 10.0, 20.0, 40.0)
"""Differences that the strongest colour of a map may stand for."""

_HALO = 4
"""Rows above and below that a blurred row depends on: 4 standard deviations."""

_STRIP_PIXELS = 1 << 18
_COLOUR_STEPS = 16
"""Colours of a map. Few, because pictures of few colours are small."""
_ALPHA = (0.0, 0.85)
"""Opacity of no difference and of the largest one."""

# sRGB's primaries and white, D65 (IEC 61966-2-1).
_RGB_TO_XYZ = np.array(
    [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]], np.float32
)
_WHITE = _RGB_TO_XYZ.sum(axis=1)


def measure_difference(reference: Pixels8, distorted: Pixels8, step: int = 1) -> Map:
    """Measure the visible difference of every pixel, or of every `step`-th in both directions.

    Args:
        reference: sRGB, uint8, (H, W, 3).
        distorted: sRGB, uint8, of the same size.
        step: distance of the pixels that are measured; their number decides the time.

    Returns:
        CIEDE2000, 0 or more, float32, (ceil(H / step), ceil(W / step)).

    Raises:
        SizeMismatch: the sizes differ.
    """
    check_size(distorted, reference)
    height, width = reference.shape[:2]
    rows = max(1, _STRIP_PIXELS // width // step) * step
    strips = []
    for top in range(0, height, rows):
        first, second = (
            _to_lab(_blur(image, range(top, min(top + rows, height), step), step))
            for image in (reference, distorted)
        )
        strips.append(measure_ciede2000(first, second))
    return np.concatenate(strips)


def choose_scale(maps: Sequence[Map]) -> float:
    """Choose the difference that the strongest colour stands for, the same for all maps.

    It is the smallest of `SCALES` that at most 1 % of the pixels exceed, or the largest.
    """
    peak = max(float(np.percentile(each, 99)) for each in maps)
    return next((scale for scale in SCALES if scale >= peak), SCALES[-1])


def draw_map(differences: Map, scale: float) -> Pixels8:
    """Draw differences in colours of rising brightness and opacity, to be laid over the image.

    The colours are matplotlib's `inferno`, which people with any colour vision can order.

    Args:
        differences: (H, W), 0 or more.
        scale: difference of the strongest colour.

    Returns:
        RGBA, uint8, (H, W, 4).
    """
    steps = np.rint(np.clip(differences / scale, 0, 1) * (_COLOUR_STEPS - 1)).astype(np.intp)
    colours: Pixels8 = colour_steps()[steps]
    return colours


def colour_steps() -> Pixels8:
    """Return the colours of a map, from no difference to the largest: RGBA, uint8, (steps, 4)."""
    from matplotlib import colormaps  # takes a while to import

    position = np.linspace(0, 1, _COLOUR_STEPS)
    rgba = colormaps["inferno"](0.25 + 0.7 * position)
    rgba[:, 3] = np.interp(position, [0, 0.5, 1], [_ALPHA[0], 0.75 * _ALPHA[1], _ALPHA[1]])
    colours: Pixels8 = np.rint(rgba * 255).astype(np.uint8)
    colours[0] = 0  # all transparent pixels are equal, so that the file is small
    return colours


def _blur(image: Pixels8, rows: range, step: int) -> Map:
    """Blur some rows, and of them every `step`-th column, in linear light, 0..1.

    Only what is kept is computed, so that large images take little time.
    """
    height, width = image.shape[:2]
    offsets = range(-_HALO, _HALO + 1)
    weights = np.exp(-0.5 * (np.array(offsets) / BLUR_PIXELS) ** 2)
    weights /= weights.sum()
    # Beyond the edges, the outermost pixels go on.
    wanted = np.arange(rows.start - _HALO, rows.stop + _HALO).clip(0, height - 1)
    strip = _linear_light()[image[wanted]]
    columns = np.arange(0, width, step)
    down: Map = sum(
        weight * strip[_HALO + offset :: step][: len(rows)]
        for weight, offset in zip(weights.astype(np.float32), offsets, strict=True)
    )
    across: Map = sum(
        weight * down[:, (columns + offset).clip(0, width - 1)]
        for weight, offset in zip(weights.astype(np.float32), offsets, strict=True)
    )
    return across


@lru_cache(1)
def _linear_light() -> Map:
    """Return the linear light, 0..1, of each level of sRGB (IEC 61966-2-1)."""
    values = np.arange(256) / 255
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    return linear.astype(np.float32)


def _to_lab(linear: Map) -> Map:
    """Convert linear sRGB to CIELAB (ISO/CIE 11664-4) with white D65."""
    xyz = linear @ (_RGB_TO_XYZ / _WHITE[:, None]).T
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz * (841 / 108) + 4 / 29)
    lightness = 116 * f[..., 1] - 16
    lab: Map = np.stack(
        (lightness, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])), axis=-1
    )
    return lab


def measure_ciede2000(first: Map, second: Map) -> Map:
    """Measure CIEDE2000 between colours in CIELAB, (..., 3), with kL = kC = kH = 1."""
    l1, a1, b1 = np.moveaxis(first, -1, 0)
    l2, a2, b2 = np.moveaxis(second, -1, 0)
    chroma7 = ((np.hypot(a1, b1) + np.hypot(a2, b2)) / 2) ** 7
    stretch = 1.5 - 0.5 * np.sqrt(chroma7 / (chroma7 + 25.0**7))
    c1, c2 = np.hypot(stretch * a1, b1), np.hypot(stretch * a2, b2)
    h1 = np.degrees(np.arctan2(b1, stretch * a1)) % 360
    h2 = np.degrees(np.arctan2(b2, stretch * a2)) % 360

    is_grey = c1 * c2 == 0
    turn = np.where(is_grey, 0, (h2 - h1 + 180) % 360 - 180)
    delta_l, delta_c = l2 - l1, c2 - c1
    delta_h = 2 * np.sqrt(c1 * c2) * np.sin(np.radians(turn / 2))

    mean_l, mean_c = (l1 + l2) / 2, (c1 + c2) / 2
    mean_h = np.where(is_grey, h1 + h2, h1 + turn / 2) % 360
    t = (
        1
        - 0.17 * _cos(mean_h - 30)
        + 0.24 * _cos(2 * mean_h)
        + 0.32 * _cos(3 * mean_h + 6)
        - 0.20 * _cos(4 * mean_h - 63)
    )
    offset = (mean_l - 50) ** 2
    scale_l = 1 + 0.015 * offset / np.sqrt(20 + offset)
    scale_c = 1 + 0.045 * mean_c
    scale_h = 1 + 0.015 * mean_c * t
    mean_c7 = mean_c**7
    rotation = (
        -2
        * np.sqrt(mean_c7 / (mean_c7 + 25.0**7))
        * np.sin(np.radians(60 * np.exp(-(((mean_h - 275) / 25) ** 2))))
    )
    lightness, chroma, hue = delta_l / scale_l, delta_c / scale_c, delta_h / scale_h
    squared = lightness**2 + chroma**2 + hue**2 + rotation * chroma * hue
    result: Map = np.sqrt(np.maximum(squared, 0)).astype(np.float32)
    return result


def _cos(degrees: Map) -> Map:
    cosine: Map = np.cos(np.radians(degrees))
    return cosine
