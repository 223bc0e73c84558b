# mypy: disable-error-code="no-untyped-def,untyped-decorator,no-untyped-call"
# ruff: noqa: ANN001, ANN202
"""Texture on a CPU: local deviations of references, and means of changes that are never written."""

import numpy as np
import torch
from torch import Tensor

from roi_ray.metrics.compiled.rows import (
    COLUMNS,
    LANES,
    as_planes,
    cut,
    index,
    run_on_rows,
    sum_row,
)
from roi_ray.metrics.gaussian import MARGIN, WINDOW, gaussian_taps
from roi_ray.runtime.compiled import exact_kernel, kernel

_TAPS = gaussian_taps(torch.device("cpu"), torch.float64).numpy()


def local_deviations(images: Tensor) -> Tensor:
    """Compute standard deviations over SSIM's window; see `roi_ray.metrics.texture`."""
    height, width = (side - 2 * MARGIN for side in images.shape[-2:])
    result = images.new_empty(len(images), height, width)
    planes, deviations = as_planes(images), as_planes(result)

    def measure_rows(plane: int, top: int, bottom: int) -> None:
        _measure_rows(planes[plane], deviations[plane], top, bottom)

    run_on_rows(measure_rows, len(planes), height)
    return result


def average_changes(
    references: Tensor, images: Tensor, weights: Tensor | None, hardly_seen: float
) -> tuple[Tensor, Tensor]:
    """Average texture gained, and texture lost.

    Args:
        references: local deviations, float32, contiguous, (1 or N, H - 10, W - 10).
        images: luma of the distorted images, float32, contiguous, (N, H, W).
        weights: float32, contiguous, (1 or N, H - 10, W - 10); None for no mask.
        hardly_seen: deviation below which texture is hardly seen.

    Returns:
        means over the whole map, and under the mask, of gained and lost, (2, N), float64; 0 if
        there are no rows.
    """
    x, y = as_planes(references), as_planes(images)
    height, width = x.shape[-2:]
    masks = x if weights is None else weights.numpy()  # without a mask, any numbers will do
    sums = np.zeros((len(y), 2, 2, height))
    floor = np.float32(hardly_seen**2)

    def average_rows(plane: int, top: int, bottom: int) -> None:
        reference, mask = x[plane % len(x)], masks[plane % len(masks)]
        _sum_changes(reference, y[plane], mask, floor, top, bottom, sums[plane])

    run_on_rows(average_rows, len(y), height)
    means = torch.from_numpy(sums.sum(-1) / max(1, height * width))
    whole, masked = means.permute(2, 1, 0)
    return whole, whole if weights is None else masked


@kernel
def _measure_rows(image, deviations, top, bottom):
    width = deviations.shape[1]
    columns = np.empty((2, COLUMNS + LANES), np.float64)
    pieces = (width + COLUMNS - 1) // COLUMNS
    for piece in range(pieces):
        left, count = cut(width, piece, pieces)
        for row in range(top, bottom):
            _measure_row(image, row, left, count, columns, deviations[row, left : left + count])


@kernel
def _sum_changes(x, y, weights, floor, top, bottom, sums):
    """Add up what each row has gained and lost, and both times the weights."""
    width = x.shape[1]
    columns = np.empty((2, COLUMNS + LANES), np.float64)
    deviations = np.empty(COLUMNS, np.float32)
    changes = np.empty((2, COLUMNS), np.float32)
    pieces = (width + COLUMNS - 1) // COLUMNS
    for piece in range(pieces):
        left, count = cut(width, piece, pieces)
        for row in range(top, bottom):
            _measure_row(y, row, left, count, columns, deviations)
            _compare_row(x, row, left, count, floor, deviations, changes)
            for number in range(2):
                whole, masked = sum_row(changes[number], weights, row, left, count)
                sums[number, 0, row] += whole
                sums[number, 1, row] += masked


# Exact, so that references and distorted images have the same deviations where they are equal.
@exact_kernel
def _measure_row(image, row, left, count, columns, deviations):
    """Compute the deviations of a piece of a row."""
    wide = count + 2 * MARGIN
    # The last vector of a row overlaps the one before.
    _filter_columns(image, row, left, 0, wide // LANES * LANES, columns)
    _filter_columns(image, row, left, max(0, wide - LANES), wide, columns)
    _filter_row(columns, 0, count // LANES * LANES, deviations)
    _filter_row(columns, max(0, count - LANES), count, deviations)


@exact_kernel
def _filter_columns(image, row, left, start, stop, columns):
    """Average values and their squares over the window's rows."""
    for column in range(start, stop):
        mean = square = 0.0
        for tap in range(WINDOW):
            value = np.float64(image[index(row + tap), index(left + column)])
            weighted = _TAPS[tap] * value
            mean += weighted
            square += weighted * value
        columns[0, index(column)] = mean
        columns[1, index(column)] = square


@exact_kernel
def _filter_row(columns, start, stop, deviations):
    """Average over the window's columns."""
    for column in range(start, stop):
        mean = square = 0.0
        for tap in range(WINDOW):
            mean += _TAPS[tap] * columns[0, index(column + tap)]
            square += _TAPS[tap] * columns[1, index(column + tap)]
        deviations[index(column)] = np.float32(np.sqrt(max(square - mean * mean, 0.0)))


@exact_kernel
def _compare_row(x, row, left, count, floor, deviations, changes):
    for column in range(count):
        before = x[index(row), index(left + column)]
        change = (deviations[index(column)] - before) / np.sqrt(before * before + floor)
        more, less = max(change, np.float32(0)), min(change, np.float32(0))
        changes[0, index(column)] = more * more
        changes[1, index(column)] = less * less
