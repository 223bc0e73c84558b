# mypy: disable-error-code="no-untyped-def,untyped-decorator,no-untyped-call"
# ruff: noqa: ANN001, ANN201, ANN202
"""Pixels of 8 bits on a CPU: their planes, and means of squared errors that are never written."""

import numpy as np
import torch
from torch import Tensor

from roi_ray.metrics.colour import BLUE, CB_SCALE, CR_SCALE, GREEN, RED
from roi_ray.metrics.compiled.rows import COLUMNS, cut, index, run_on_rows, sum_row
from roi_ray.metrics.images import ImagePair
from roi_ray.metrics.metric import GetWeights, RowMeans
from roi_ray.runtime.compiled import exact_kernel, kernel

_WHITE = np.float32(255)
_RED, _GREEN, _BLUE = np.float32(RED), np.float32(GREEN), np.float32(BLUE)
_CB_SCALE, _CR_SCALE = np.float32(CB_SCALE), np.float32(CR_SCALE)


def make_planes(samples: Tensor) -> Tensor:
    """Divide samples by 255, (N, 3, H, W), uint8 -> float32, contiguous."""
    planes = torch.empty(samples.shape, dtype=torch.float32)
    pixels, result = as_pixels(samples), planes.numpy()

    def convert(image: int, top: int, bottom: int) -> None:
        _make_planes(pixels[image], result[image], top, bottom)

    run_on_rows(convert, len(pixels), planes.shape[-2])
    return planes


def average_squared_errors(pair: ImagePair, get_weights: GetWeights) -> RowMeans:
    """Average squared errors of sRGB values in [0, 1], over the channels too.

    Args:
        pair: samples of 8 bits; one reference for all images, or one per image.
        get_weights: see `Metric.average_maps`.

    Returns:
        the means, (N,).
    """
    height, whole, masked = _average_errors(_sum_errors, 1, pair, get_weights)
    return RowMeans(height, whole[:, 0] / 3, masked[:, 0] / 3)


def average_colour_errors(pair: ImagePair, get_weights: GetWeights) -> RowMeans:
    """Average squared errors of Y', Cb and Cr; see `average_squared_errors`; (N, 3)."""
    return _average_errors(_sum_colour_errors, 3, pair, get_weights)


def _average_errors(sum_errors, maps: int, pair: ImagePair, get_weights: GetWeights) -> RowMeans:
    x, y = as_pixels(pair.references.samples), as_pixels(pair.distorted.samples)
    height, width = pair.distorted.samples.shape[-2:]
    weights = get_weights(0, (height, width), torch.float32)
    # Without a mask, any numbers will do.
    masks = np.zeros((1, height, width), np.float32) if weights is None else weights.numpy()
    sums = np.zeros((len(y), maps, 2, height))

    def sum_rows(image: int, top: int, bottom: int) -> None:
        reference, mask = x[image % len(x)], masks[image % len(masks)]
        sum_errors(reference, y[image], mask, top, bottom, sums[image])

    run_on_rows(sum_rows, len(y), height)
    whole, masked = torch.from_numpy(sums.sum(-1) / (height * width * 255**2)).unbind(-1)
    return RowMeans(height, whole, whole if weights is None else masked)


def as_pixels(samples: Tensor):
    """Return samples (N, 3, H, W) as an array (N, H, 3 W), a view where that is their layout."""
    return samples.permute(0, 2, 3, 1).contiguous().flatten(2).numpy()


@exact_kernel
def _make_planes(pixels, planes, top, bottom):
    for number in range(top, bottom):
        row = index(number)
        for column in range(planes.shape[2]):
            red = 3 * column
            planes[0, row, index(column)] = np.float32(pixels[row, index(red)]) / _WHITE
            planes[1, row, index(column)] = np.float32(pixels[row, index(red + 1)]) / _WHITE
            planes[2, row, index(column)] = np.float32(pixels[row, index(red + 2)]) / _WHITE


@exact_kernel
def _subtract(x, y, row, position):
    """Return a difference of samples, as float32: numba's integers would have 64 bits."""
    return np.float32(y[index(row), index(position)]) - np.float32(x[index(row), index(position)])


@kernel
def _sum_errors(x, y, weights, top, bottom, sums):
    """Add up the squared errors of each row, and their products with the weights."""
    width = weights.shape[1]
    errors = np.empty(COLUMNS, np.float32)
    pieces = (width + COLUMNS - 1) // COLUMNS
    for piece in range(pieces):
        left, count = cut(width, piece, pieces)
        for row in range(top, bottom):
            _square_errors(x, y, row, left, count, errors)
            whole, masked = sum_row(errors, weights, row, left, count)
            sums[0, 0, row] += whole
            sums[0, 1, row] += masked


@kernel
def _square_errors(x, y, row, left, count, errors):
    for column in range(count):
        red = _subtract(x, y, row, 3 * (left + column))
        green = _subtract(x, y, row, 3 * (left + column) + 1)
        blue = _subtract(x, y, row, 3 * (left + column) + 2)
        # Integers below 2^24, which float32 holds exactly.
        errors[index(column)] = red * red + green * green + blue * blue


@kernel
def _sum_colour_errors(x, y, weights, top, bottom, sums):
    """Add up the squared errors of Y', Cb and Cr."""
    width = weights.shape[1]
    errors = np.empty((3, COLUMNS), np.float32)
    pieces = (width + COLUMNS - 1) // COLUMNS
    for piece in range(pieces):
        left, count = cut(width, piece, pieces)
        for row in range(top, bottom):
            _square_colour_errors(x, y, row, left, count, errors)
            for number in range(3):
                whole, masked = sum_row(errors[number], weights, row, left, count)
                sums[number, 0, row] += whole
                sums[number, 1, row] += masked


@kernel
def _square_colour_errors(x, y, row, left, count, errors):
    for column in range(count):
        red = _subtract(x, y, row, 3 * (left + column))
        green = _subtract(x, y, row, 3 * (left + column) + 1)
        blue = _subtract(x, y, row, 3 * (left + column) + 2)
        # The transform is linear, so that it may be applied to differences.
        luma = _RED * red + _GREEN * green + _BLUE * blue
        cb = _CB_SCALE * (blue - luma)
        cr = _CR_SCALE * (red - luma)
        errors[0, index(column)] = luma * luma
        errors[1, index(column)] = cb * cb
        errors[2, index(column)] = cr * cr
