# mypy: disable-error-code="no-untyped-def,untyped-decorator,no-untyped-call"
# ruff: noqa: ANN001, ANN201, ANN202
"""The recursion of SSIMULACRA2's filter on a CPU, with the roundings of `metrics.recursion`."""

import numpy as np
import torch

from roi_ray.metrics.compiled.multiply_add import multiply_add
from roi_ray.metrics.compiled.rows import COLUMNS, LANES, index
from roi_ray.metrics.recursion import FIRST_BLOCK, RADIUS, coefficients
from roi_ray.runtime.compiled import exact_kernel

STATE = 6
"""Numbers that the recursion keeps per column or row: the last two outputs of each cosine."""

LEFT = RADIUS + 1
"""Columns of zeros that a tile has left of the image: the first window reaches there."""

_RIGHT = RADIUS - 1
_BLOCK = 4
_LAST_OF_BLOCK = RADIUS - 1 + _BLOCK - 1  # columns from the first of a block to the last it sees
_GAIN, _FEEDBACK, _OF_INPUT, _OF_PREVIOUS, _OF_EARLIER = (
    each.squeeze(-1).numpy() for each in coefficients(torch.device("cpu"))
)
_ZERO = np.float32(0)


@exact_kernel
def make_tile(width):
    """Return the memory for `LANES` rows of an image, column by column, with zeros around."""
    return np.zeros((LEFT + width + _RIGHT) * LANES, np.float32)


@exact_kernel
def filter_tile(tile, width, state):
    """Filter the rows of a tile, in place: column 0 of the results is the tile's first column.

    Args:
        tile: from `make_tile`; column 0 of the image is its column `LEFT`.
        width: columns of the image.
        state: float32, STATE * LANES numbers.
    """
    state[:] = _ZERO
    for column in range(1 - RADIUS, min(FIRST_BLOCK, width)):
        _filter_column(tile, column, state)
    column = FIRST_BLOCK
    while column + _LAST_OF_BLOCK < width:
        _filter_block(tile, column, state)
        column += _BLOCK
    while column < width:
        _filter_column(tile, column, state)
        column += 1


@exact_kernel
def _filter_column(tile, column, state):
    """Filter a column by the recursion as it stands."""
    leaving = index(max(column, 0) * LANES)
    entering = index((column + LEFT + _RIGHT) * LANES)
    for lane in range(LANES):
        total = tile[entering + index(lane)]
        if column > RADIUS:
            total = tile[leaving + index(lane)] + total
        first = second = third = _ZERO
        for cosine in range(3):
            earlier = index(2 * cosine * LANES + lane)
            previous = index((2 * cosine + 1) * LANES + lane)
            output = _OF_INPUT[cosine, 0] * total - state[earlier]
            output = multiply_add(_OF_PREVIOUS[cosine, 0], state[previous], output)
            state[earlier], state[previous] = state[previous], output
            first, second, third = second, third, output
        if column >= 0:
            tile[leaving + index(lane)] = second + third + first


@exact_kernel
def _filter_block(tile, column, state):
    """Filter four columns from the two before them."""
    left, right = index(column * LANES), index((column + LEFT + _RIGHT) * LANES)
    second, third, fourth = index(LANES), index(2 * LANES), index(3 * LANES)
    for number in range(LANES):
        lane = index(number)
        old, new = left + lane, right + lane
        sums = (
            tile[old] + tile[new],
            tile[old + second] + tile[new + second],
            tile[old + third] + tile[new + third],
            tile[old + fourth] + tile[new + fourth],
        )
        a = _filter_cosine(0, sums, state, lane)
        b = _filter_cosine(1, sums, state, lane)
        c = _filter_cosine(2, sums, state, lane)
        tile[old] = b[0] + c[0] + a[0]
        tile[old + second] = b[1] + c[1] + a[1]
        tile[old + third] = b[2] + c[2] + a[2]
        tile[old + fourth] = b[3] + c[3] + a[3]


@exact_kernel
def _filter_cosine(cosine, sums, state, lane):
    """Compute four outputs of a cosine; keep the last two."""
    g, e, p = _OF_INPUT[cosine], _OF_EARLIER[cosine], _OF_PREVIOUS[cosine]
    before = index(2 * cosine * LANES) + lane
    earlier, previous = state[before], state[before + index(LANES)]
    y0 = g[0] * sums[0]
    y1 = multiply_add(g[0], sums[1], g[1] * sums[0])
    y2 = multiply_add(g[0], sums[2], multiply_add(g[1], sums[1], g[2] * sums[0]))
    y3 = multiply_add(g[2], sums[1], g[3] * sums[0])
    y3 = multiply_add(g[0], sums[3], multiply_add(g[1], sums[2], y3))
    y0 = multiply_add(p[0], previous, multiply_add(e[0], earlier, y0))
    y1 = multiply_add(p[1], previous, multiply_add(e[1], earlier, y1))
    y2 = multiply_add(p[2], previous, multiply_add(e[2], earlier, y2))
    y3 = multiply_add(p[3], previous, multiply_add(e[3], earlier, y3))
    state[before], state[before + index(LANES)] = y2, y3
    return y0, y1, y2, y3


@exact_kernel
def filter_row(rows, position, left, count, sums, state, result):
    """Compute the next row of a piece of an image that is filtered down.

    Args:
        rows: rows of the image that the window sees, (R, W); zeros surround them.
        position: the row that is computed; from `1 - RADIUS` on.
        left: first column of the piece.
        count: columns of the piece, at most `COLUMNS`.
        sums: memory for `COLUMNS` numbers, 0 before the first row.
        state: float32, (STATE * COLUMNS,), 0 before the first row.
        result: receives the row, (COLUMNS,).
    """
    leaving, entering = position - RADIUS - 1, position + RADIUS - 1
    if leaving < 0 and entering >= len(rows):
        sums[:] = _ZERO
    for number in range(count):
        column = index(left + number)
        if leaving < 0:
            if entering < len(rows):
                sums[index(number)] = rows[index(entering), column]
        elif entering < len(rows):
            sums[index(number)] = rows[index(leaving), column] + rows[index(entering), column]
        else:
            sums[index(number)] = rows[index(leaving), column]
    _recur(sums, state, result, (count + LANES - 1) // LANES * LANES)


@exact_kernel
def _recur(sums, state, result, count):
    for number in range(count):
        first = second = third = _ZERO
        for cosine in range(3):
            earlier = index(2 * cosine * COLUMNS + number)
            previous = index((2 * cosine + 1) * COLUMNS + number)
            output = multiply_add(_FEEDBACK[cosine], state[previous], state[earlier])
            output = multiply_add(_GAIN[cosine], sums[index(number)], -output)
            state[earlier], state[previous] = state[previous], output
            first, second, third = second, third, output
        result[index(number)] = second + third + first
