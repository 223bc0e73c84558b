# mypy: disable-error-code="no-untyped-def,untyped-decorator,no-untyped-call"
# ruff: noqa: ANN001, ANN202
"""SSIM on a CPU: moments of references, and means of similarity maps that are never written."""

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
from roi_ray.metrics.similarity import C1, C2
from roi_ray.runtime.compiled import kernel, ordered_kernel, run_in_threads

_TAPS = gaussian_taps(torch.device("cpu")).numpy()
_C1, _C2 = np.float32(C1), np.float32(C2)
_ZERO, _TWO, _QUARTER = np.float32(0), np.float32(2), np.float32(0.25)


def compute_moments(images: Tensor) -> tuple[Tensor, Tensor]:
    """Compute local means and variances over SSIM's window.

    Args:
        images: float32, contiguous, (N, C, H, W).

    Returns:
        means and variances, (N, C, H - 10, W - 10).
    """
    height, width = (side - 2 * MARGIN for side in images.shape[-2:])
    means, variances = images.new_empty(2, *images.shape[:2], height, width)
    planes, mean, variance = (as_planes(each) for each in (images, means, variances))

    def filter_rows(plane: int, top: int, bottom: int) -> None:
        _compute_moments(planes[plane], mean[plane], variance[plane], top, bottom)

    run_on_rows(filter_rows, len(planes), height)
    return means, variances


def average_similarity(
    references: tuple[Tensor, Tensor, Tensor],
    images: Tensor,
    weights: Tensor | None,
    luminance: bool,
) -> tuple[Tensor, Tensor]:
    """Average SSIM's contrast-structure; with `luminance`, full SSIM.

    Args:
        references: images (1 or N, C, H, W), and their local means and variances; float32,
            contiguous.
        images: distorted, float32, contiguous, (N, C, H, W).
        weights: float32, contiguous, (1 or N, H - 10, W - 10); None for no mask.
        luminance: whether to multiply by the luminance term.

    Returns:
        means over the whole map, and under the mask, (N, C), float64; 0 if there are no rows.
    """
    x, mean, variance = (as_planes(each) for each in references)
    y = as_planes(images)
    channels = images.shape[1]
    height, width = mean.shape[-2:]
    masks = mean if weights is None else weights.numpy()  # without a mask, any numbers will do
    sums = np.zeros((2, len(y), height))

    def average_rows(plane: int, top: int, bottom: int) -> None:
        reference, mask = plane % len(x), plane // channels % len(masks)
        _sum_similarity(
            x[reference],
            y[plane],
            mean[reference],
            variance[reference],
            masks[mask],
            luminance,
            top,
            bottom,
            sums[0, plane],
            sums[1, plane],
        )

    run_on_rows(average_rows, len(y), height)
    whole, masked = torch.from_numpy(sums.sum(-1) / max(1, height * width)).view(2, -1, channels)
    return whole, whole if weights is None else masked


def halve(images: Tensor) -> Tensor:
    """Average 2 x 2 pixels.

    Args:
        images: float32, contiguous, (N, C, 2 h, 2 w).

    Returns:
        (N, C, h, w).
    """
    height, width = (side // 2 for side in images.shape[-2:])
    halved = images.new_empty(*images.shape[:2], height, width)
    planes, result = as_planes(images), as_planes(halved)

    def halve_plane(plane: int) -> None:
        _halve(planes[plane], result[plane])

    run_in_threads(halve_plane, len(planes))
    return halved


# Ordered kernels, because sums in other orders differ more between a variance and a covariance: for
# identical flat images, MS-SSIM is then 1 within 3e-5 instead of 3e-4.


@kernel
def _compute_moments(image, means, variances, top, bottom):
    width = means.shape[1]
    columns = np.empty((2, COLUMNS + LANES), np.float32)
    pieces = (width + COLUMNS - 1) // COLUMNS
    for piece in range(pieces):
        left, count = cut(width, piece, pieces)
        wide = count + 2 * MARGIN
        for row in range(top, bottom):
            # The last vector of a row overlaps the one before.
            _filter_columns(image, row, left, 0, wide // LANES * LANES, columns)
            _filter_columns(image, row, left, max(0, wide - LANES), wide, columns)
            _finish_moments(columns, row, left, 0, count // LANES * LANES, means, variances)
            _finish_moments(columns, row, left, max(0, count - LANES), count, means, variances)


@ordered_kernel
def _filter_columns(image, row, left, start, stop, columns):
    """Average values and their squares over the window's rows."""
    for column in range(start, stop):
        mean = square = _ZERO
        for tap in range(WINDOW):
            value = image[index(row + tap), index(left + column)]
            weighted = _TAPS[tap] * value
            mean += weighted
            square += weighted * value
        columns[0, index(column)] = mean
        columns[1, index(column)] = square


@ordered_kernel
def _finish_moments(columns, row, left, start, stop, means, variances):
    """Average over the window's columns."""
    for column in range(start, stop):
        mean = square = _ZERO
        for tap in range(WINDOW):
            mean += _TAPS[tap] * columns[0, index(column + tap)]
            square += _TAPS[tap] * columns[1, index(column + tap)]
        means[index(row), index(left + column)] = mean
        variances[index(row), index(left + column)] = square - mean * mean


@kernel
def _sum_similarity(x, y, x_means, x_variances, weights, luminance, top, bottom, whole, masked):
    """Add up the similarity of each row, and its product with the weights."""
    width = x_means.shape[1]
    columns = np.empty((3, COLUMNS + LANES), np.float32)
    similarity = np.empty(COLUMNS, np.float32)
    pieces = (width + COLUMNS - 1) // COLUMNS
    for piece in range(pieces):
        left, count = cut(width, piece, pieces)
        wide = count + 2 * MARGIN
        for row in range(top, bottom):
            _filter_pair_columns(x, y, row, left, 0, wide // LANES * LANES, columns)
            _filter_pair_columns(x, y, row, left, max(0, wide - LANES), wide, columns)
            for part in range(2):
                start = part * max(0, count - LANES)
                stop = count if part else count // LANES * LANES
                _compute_similarity(
                    columns, x_means, x_variances, row, left, start, stop, luminance, similarity
                )
            sums = sum_row(similarity, weights, row, left, count)
            whole[row] += sums[0]
            masked[row] += sums[1]


@ordered_kernel
def _filter_pair_columns(x, y, row, left, start, stop, columns):
    """Average `y`, `y y` and `x y` over the window's rows."""
    for column in range(start, stop):
        mean = square = product = _ZERO
        for tap in range(WINDOW):
            value = y[index(row + tap), index(left + column)]
            weighted = _TAPS[tap] * value
            mean += weighted
            square += weighted * value
            product += weighted * x[index(row + tap), index(left + column)]
        columns[0, index(column)] = mean
        columns[1, index(column)] = square
        columns[2, index(column)] = product


@ordered_kernel
def _compute_similarity(
    columns, x_means, x_variances, row, left, start, stop, luminance, similarity
):
    """Average over the window's columns, and combine."""
    for column in range(start, stop):
        mean = square = product = _ZERO
        for tap in range(WINDOW):
            mean += _TAPS[tap] * columns[0, index(column + tap)]
            square += _TAPS[tap] * columns[1, index(column + tap)]
            product += _TAPS[tap] * columns[2, index(column + tap)]
        x_mean = x_means[index(row), index(left + column)]
        variance = square - mean * mean + x_variances[index(row), index(left + column)]
        value = (_TWO * (product - x_mean * mean) + _C2) / (variance + _C2)
        if luminance:
            value *= (_TWO * x_mean * mean + _C1) / (x_mean * x_mean + mean * mean + _C1)
        similarity[index(column)] = value


@kernel
def _halve(image, halved):
    height, width = halved.shape
    for row in range(height):
        above, below = index(2 * row), index(2 * row + 1)
        for column in range(width):
            left, right = index(2 * column), index(2 * column + 1)
            total = image[above, left] + image[below, left]
            total += image[above, right] + image[below, right]
            halved[index(row), index(column)] = _QUARTER * total
