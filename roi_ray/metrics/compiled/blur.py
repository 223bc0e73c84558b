# mypy: disable-error-code="no-untyped-def,untyped-decorator,no-untyped-call"
# ruff: noqa: ANN001, ANN201, ANN202
"""SSIMULACRA2's filter on a CPU: planes, or products of planes, that come in strips.

Across, each place of a register filters a row, so that rows are turned to columns before, and back
after. Down, each place filters a column.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from roi_ray.metrics.compiled.recursion import (
    LEFT,
    STATE,
    filter_row,
    filter_tile,
    make_tile,
)
from roi_ray.metrics.compiled.rows import COLUMNS, LANES, as_planes, index
from roi_ray.metrics.recursion import Window
from roi_ray.runtime.compiled import exact_kernel, run_in_threads

_TASK_PIXELS = 1 << 17
"""Pixels that a thread filters at once, 0.1 ms."""

ALONE, SQUARE, PRODUCT = range(3)
"""What is filtered of a channel: itself, its square, its product with that of another image."""

_ZERO = np.float32(0)


def make_state(planes: Tensor) -> Tensor:
    """Return what the recursion down keeps of planes, (N, P, R, W), before their first row."""
    return planes.new_zeros(*planes.shape[:2], STATE, planes.shape[-1])


def filter_across(
    y: Tensor, x: Tensor | None = None, factors: Sequence[tuple[int, int]] | None = None
) -> Tensor:
    """Filter the rows of planes, or of products of planes.

    Args:
        y: float32, (N, C, H, W).
        x: float32, (1 or N, C, H, W), a second factor.
        factors: for each plane that is filtered, its channel, and `ALONE`, `SQUARE` or `PRODUCT`;
            None for all channels of `y`, alone.

    Returns:
        (N, P, H, W), contiguous.
    """
    factors = factors or [(channel, ALONE) for channel in range(y.shape[1])]
    height, width = y.shape[-2:]
    filtered = torch.empty(len(y), len(factors), height, width)
    images, result = y.contiguous().numpy(), filtered.numpy()
    planes = np.array(factors, np.int64).reshape(-1, 2)
    others = images if x is None else x.contiguous().numpy()
    rows = max(1, _TASK_PIXELS // (max(1, len(factors)) * width * LANES)) * LANES
    parts = -(-height // rows)

    def filter_rows(number: int) -> None:
        image, part = divmod(number, parts)
        other, bottom = others[image % len(others)], min((part + 1) * rows, height)
        _filter_across(images[image], other, planes, result[image], part * rows, bottom)

    run_in_threads(filter_rows, len(y) * parts)
    return filtered


def filter_down(window: Window, state: Tensor) -> Tensor:
    """Filter the columns of planes.

    Args:
        window: rows of planes, float32, contiguous, (N, P, R, W).
        state: from `make_state`; updated.

    Returns:
        (N, P, h, W).
    """
    *planes, _, width = window.rows.shape
    filtered = torch.empty(*planes, window.end - window.start, width)
    rows, states, result = (as_planes(each) for each in (window.rows, state, filtered))
    pieces = -(-width // COLUMNS)

    def filter_piece(number: int) -> None:
        plane, piece = divmod(number, pieces)
        left = piece * COLUMNS
        _filter_down(rows[plane], states[plane], window.first, window.start, left, result[plane])

    run_in_threads(filter_piece, len(rows) * pieces)
    return filtered


@exact_kernel
def _filter_across(y, x, factors, result, top, bottom):
    width = y.shape[2]
    tile, state = make_tile(width), np.empty(STATE * LANES, np.float32)
    for row in range(top, bottom, LANES):
        lanes = min(LANES, bottom - row)
        for plane in range(len(factors)):
            channel, factor = factors[plane]
            tile[:] = _ZERO
            other = y[channel] if factor == SQUARE else x[channel]
            _load_rows(y[channel], other, factor != ALONE, row, lanes, tile)
            filter_tile(tile, width, state)
            for lane in range(lanes):
                for column in range(width):
                    value = tile[index(column * LANES + lane)]
                    result[index(plane), index(row + lane), index(column)] = value


@exact_kernel
def _load_rows(y, x, is_product, row, lanes, tile):
    """Put rows of a plane, or of a product, into a tile."""
    for lane in range(lanes):
        for number in range(y.shape[1]):
            column = index(number)
            value = y[index(row + lane), column]
            if is_product:
                value *= x[index(row + lane), column]
            tile[index((number + LEFT) * LANES + lane)] = value


@exact_kernel
def load_state(state, left, count, piece):
    """Take the state of some columns of a plane, (STATE, W); the others of the piece are 0."""
    piece[:] = _ZERO
    for number in range(STATE):
        piece[number * COLUMNS : number * COLUMNS + count] = state[number, left : left + count]


@exact_kernel
def save_state(piece, state, left, count):
    """Put the state of a piece back."""
    for number in range(STATE):
        state[number, left : left + count] = piece[number * COLUMNS : number * COLUMNS + count]


@exact_kernel
def _filter_down(rows, state, first, start, left, result):
    count = min(COLUMNS, result.shape[1] - left)
    piece, sums, filtered = (
        np.empty(STATE * COLUMNS, np.float32),
        np.zeros(COLUMNS, np.float32),
        np.empty(COLUMNS, np.float32),
    )
    load_state(state, left, count, piece)
    for position in range(first, start + len(result)):
        filter_row(rows, position, left, count, sums, piece, filtered)
        if position >= start:
            result[position - start, left : left + count] = filtered[:count]
    save_state(piece, state, left, count)
