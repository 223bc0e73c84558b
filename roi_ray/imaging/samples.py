"""Arithmetic on arrays of samples that readers and colour conversions share."""

from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Samples: TypeAlias = NDArray[Any]
"""Samples of 8 bits (uint8) or of 9 to 16 bits (uint16); (height, width, channels)."""

_TILE_PIXELS = 1 << 16
"""Pixels that are converted at a time, so that intermediate results stay in the cache."""


def tiles(samples: Samples, pixels: int = _TILE_PIXELS) -> Iterator[tuple[slice, slice]]:
    """Divide an image into tiles, whole rows where possible, of about so many pixels each."""
    height, width = samples.shape[:2]
    columns = max(1, min(width, pixels))
    rows = pixels // columns
    for top in range(0, height, rows):
        for left in range(0, width, columns):
            bottom, right = min(top + rows, height), min(left + columns, width)
            yield slice(top, bottom), slice(left, right)


def scale(samples: Samples, white: int, bit_depth: int) -> Samples:
    """Scale samples from 0..`white` to a bit depth, rounded.

    Args:
        samples: (height, width, ...); larger ones than `white` count as `white`.
        white: largest sample, 1 to 65535.
        bit_depth: bits per sample of the result, 8 to 16.

    Returns:
        uint8 for 8 bits, else uint16; of the samples' shape.
    """
    full = (1 << bit_depth) - 1
    levels = (np.arange(white + 1, dtype=np.int64) * full + white // 2) // white
    table = levels.astype(sample_type(bit_depth))
    scaled = np.empty(samples.shape, table.dtype)
    for tile in tiles(samples):
        scaled[tile] = table.take(samples[tile], mode="clip")
    return scaled


def sample_type(bit_depth: int) -> type[np.uint8] | type[np.uint16]:
    """Return the type of samples of a bit depth: uint8 up to 8 bits, else uint16."""
    return np.uint8 if bit_depth <= 8 else np.uint16


def place_on_canvas(samples: Samples, size: tuple[int, int], corner: tuple[int, int]) -> Samples:
    """Place opaque or transparent samples on a transparent canvas.

    Args:
        samples: grey or RGB of 8 or 16 bits, with or without alpha.
        size: height and width of the canvas.
        corner: top row and left column of the samples on it.

    Returns:
        the canvas, with alpha as its last channel.
    """
    height, width, channels = samples.shape
    colours = channels - (channels in (2, 4))
    canvas = np.zeros((*size, colours + 1), samples.dtype)
    area = canvas[corner[0] : corner[0] + height, corner[1] : corner[1] + width]
    area[..., -1] = np.iinfo(samples.dtype).max
    area[..., :channels] = samples
    return canvas
