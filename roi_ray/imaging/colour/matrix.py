"""Convert RGB samples to sRGB in linear light: a curve per channel, then a 3 x 3 matrix.

Display P3, BT.2020, Adobe RGB and most other RGB colour spaces are of this kind, whether a file
names them by an ICC profile or by CICP.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from roi_ray.imaging.samples import Samples, sample_type, tiles


def convert_matrix_rgb(
    samples: Samples,
    bit_depth: int,
    curves: NDArray[np.float32],
    matrix: NDArray[np.float64],
    out: Samples | None = None,
) -> Samples:
    """Convert RGB samples to sRGB of the same depth; colours outside sRGB's gamut are clipped.

    Args:
        samples: (height, width, 3), 0..2^bit_depth - 1.
        bit_depth: bits per sample, 8 to 16.
        curves: linear light, 0..1, of each value of each channel: (3, 2^bit_depth).
        matrix: from the linear light of the three channels to that of sRGB: (3, 3).
        out: array for the result; may be `samples`. None for a new one.

    Returns:
        sRGB, of the samples' shape, type and depth; at most 1 level from exact arithmetic.
    """
    table = _encoding_table(bit_depth)
    scaled = (matrix * (len(table) - 1)).astype(np.float32)
    converted = np.empty_like(samples) if out is None else out
    for tile in tiles(samples):
        part = samples[tile]
        linear = np.empty((3, part.shape[0] * part.shape[1]), np.float32)
        for channel in range(3):
            np.take(curves[channel], part[..., channel].ravel(), out=linear[channel], mode="clip")
        index = scaled @ linear
        index += 0.5  # the conversion to integers truncates
        np.clip(index, 0, len(table) - 1, out=index)
        encoded = table.take(index.astype(np.int32), mode="clip")
        converted[tile] = encoded.T.reshape(part.shape)
    return converted


def convert_grey(samples: Samples, table: Samples) -> Samples:
    """Convert grey samples, (height, width, 1), to RGB by a table of each value's grey or RGB."""
    converted = np.empty((*samples.shape[:2], 3), samples.dtype)
    table = np.broadcast_to(table.reshape(len(table), -1), (len(table), 3))
    for tile in tiles(samples):
        converted[tile] = table.take(samples[tile][..., 0], axis=0, mode="clip")
    return converted


def encode_srgb(linear: NDArray[np.floating]) -> NDArray[np.float64]:
    """Apply the transfer function of sRGB (IEC 61966-2-1) to linear light; both 0..1."""
    linear = np.clip(np.asarray(linear, np.float64), 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def quantize(values: NDArray[np.floating], bit_depth: int) -> Samples:
    """Round values in 0..1 to samples of a bit depth: uint8, or uint16 above 8 bits."""
    levels: Samples = np.rint(values * ((1 << bit_depth) - 1))
    return levels.astype(sample_type(bit_depth))


@lru_cache(maxsize=4)
def _encoding_table(bit_depth: int) -> Samples:
    """Tabulate sRGB samples by linear light.

    The curve rises by up to 12.92, so that half a step of the table is at most 0.1 level up to 14
    bits, and 0.4 level at 16.
    """
    steps = 1 << min(bit_depth + 6, 20)
    return quantize(encode_srgb(np.arange(steps + 1) / steps), bit_depth)
