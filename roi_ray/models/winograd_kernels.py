# mypy: disable-error-code="no-untyped-def,untyped-decorator,no-untyped-call,no-any-return"
# ruff: noqa: ANN001, ANN202
"""Compiled kernels: the transforms of Winograd's convolutions.

Each transform of a tile takes two passes over its columns and its rows, whose inner loops run over
the channels, which are contiguous.
"""

import numpy as np
from torch import Tensor

from roi_ray.models.winograd import POINTS
from roi_ray.runtime.compiled import kernel, run_in_threads

_A, _B = (np.float32(point) for point in POINTS)
_A2, _B2, _A3, _B3 = _A**2, _B**2, _A**3, _B**3
_SUM, _PRODUCT = _A2 + _B2, _A2 * _B2


def transform_tiles(image: Tensor, tiles: Tensor, rows: range) -> None:
    """Transform rows of tiles of an image.

    Args:
        image: float32, (height, width, C), padded to whole tiles.
        tiles: receives the transformed tiles, float32, (36, rows x columns or more, C).
        rows: numbers of the rows of tiles.
    """
    x, out = image.numpy(), tiles.numpy()

    def transform(number: int) -> None:
        _transform_tiles(x, out, number, rows[number])

    run_in_threads(transform, len(rows))


def transform_products(products: Tensor, bias: Tensor, result: Tensor, rows: range) -> None:
    """Transform the products of rows of tiles to the outputs of the convolution.

    Args:
        products: float32, (36, rows x columns or more, C).
        bias: float32, (C,).
        result: receives the outputs, float32, (height, width, C).
        rows: numbers of the rows of tiles.
    """
    values, added, out = products.numpy(), bias.detach().numpy(), result.numpy()

    def transform(number: int) -> None:
        _transform_products(values, added, out, number, rows[number])

    run_in_threads(transform, len(rows))


@kernel
def _transform_tiles(x, out, number, row_of_tiles):
    channels = x.shape[2]
    columns = (x.shape[1] - 6) // 4 + 1
    scratch = np.empty((6, 6, channels), np.float32)
    top = row_of_tiles * 4
    for tile_column in range(columns):
        tile, left = number * columns + tile_column, tile_column * 4
        for column in range(6):
            for c in range(channels):
                d0 = x[top, left + column, c]
                d1 = x[top + 1, left + column, c]
                d2 = x[top + 2, left + column, c]
                d3 = x[top + 3, left + column, c]
                d4 = x[top + 4, left + column, c]
                d5 = x[top + 5, left + column, c]
                even_a, odd_a = d4 - _B2 * d2, _A * (d3 - _B2 * d1)
                even_b, odd_b = d4 - _A2 * d2, _B * (d3 - _A2 * d1)
                scratch[0, column, c] = d4 - _SUM * d2 + _PRODUCT * d0
                scratch[1, column, c] = even_a + odd_a
                scratch[2, column, c] = even_a - odd_a
                scratch[3, column, c] = even_b + odd_b
                scratch[4, column, c] = even_b - odd_b
                scratch[5, column, c] = d5 - _SUM * d3 + _PRODUCT * d1
        for row in range(6):
            for c in range(channels):
                d0, d1, d2 = scratch[row, 0, c], scratch[row, 1, c], scratch[row, 2, c]
                d3, d4, d5 = scratch[row, 3, c], scratch[row, 4, c], scratch[row, 5, c]
                even_a, odd_a = d4 - _B2 * d2, _A * (d3 - _B2 * d1)
                even_b, odd_b = d4 - _A2 * d2, _B * (d3 - _A2 * d1)
                out[6 * row, tile, c] = d4 - _SUM * d2 + _PRODUCT * d0
                out[6 * row + 1, tile, c] = even_a + odd_a
                out[6 * row + 2, tile, c] = even_a - odd_a
                out[6 * row + 3, tile, c] = even_b + odd_b
                out[6 * row + 4, tile, c] = even_b - odd_b
                out[6 * row + 5, tile, c] = d5 - _SUM * d3 + _PRODUCT * d1


@kernel
def _transform_products(products, bias, out, number, row_of_tiles):
    height, width, channels = out.shape
    columns = (width + 3) // 4
    scratch = np.empty((7, 4, channels), np.float32)
    top = row_of_tiles * 4
    for tile_column in range(columns):
        tile, left = number * columns + tile_column, tile_column * 4
        for column in range(6):
            for c in range(channels):
                m1, m2 = products[6 + column, tile, c], products[12 + column, tile, c]
                m3, m4 = products[18 + column, tile, c], products[24 + column, tile, c]
                last = products[30 + column, tile, c]
                odd_a, odd_b = m1 - m2, m3 - m4
                scratch[column, 0, c] = products[column, tile, c] + (m1 + m2) + (m3 + m4)
                scratch[column, 1, c] = _A * odd_a + _B * odd_b
                scratch[column, 2, c] = _A2 * (m1 + m2) + _B2 * (m3 + m4)
                scratch[column, 3, c] = _A3 * odd_a + _B3 * odd_b + last
        for row in range(min(4, height - top)):
            for c in range(channels):
                m1, m2 = scratch[1, row, c], scratch[2, row, c]
                m3, m4, last = scratch[3, row, c], scratch[4, row, c], scratch[5, row, c]
                odd_a, odd_b, added = m1 - m2, m3 - m4, bias[c]
                scratch[6, 0, c] = scratch[0, row, c] + (m1 + m2) + (m3 + m4) + added
                scratch[6, 1, c] = _A * odd_a + _B * odd_b + added
                scratch[6, 2, c] = _A2 * (m1 + m2) + _B2 * (m3 + m4) + added
                scratch[6, 3, c] = _A3 * odd_a + _B3 * odd_b + last + added
            for column in range(min(4, width - left)):
                for c in range(channels):
                    out[top + row, left + column, c] = scratch[6, column, c]
