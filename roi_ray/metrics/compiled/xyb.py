# mypy: disable-error-code="no-untyped-def,untyped-decorator,no-untyped-call"
# ruff: noqa: ANN001, ANN202
"""Linear light and XYB on a CPU, with the roundings of `roi_ray.metrics.xyb`."""

import math

import numpy as np
import torch
from torch import Tensor

from roi_ray.metrics.compiled.multiply_add import bits_of, from_bits, multiply_add
from roi_ray.metrics.compiled.pixels import as_pixels
from roi_ray.metrics.compiled.rows import as_planes, index, run_on_rows
from roi_ray.metrics.xyb import ABSORBANCE, BIAS, GUESS, MANTISSA_BITS, THIRD_OF_EXPONENT
from roi_ray.runtime.compiled import exact_kernel

_ABSORBANCE = np.array(ABSORBANCE, np.float32)
_BIAS = np.float32(BIAS)
_MINUS_ROOT_OF_BIAS = np.float32(-math.cbrt(_BIAS))
_THIRD, _FOUR_THIRDS = np.float32(1 / 3), np.float32(4 / 3)
_HALF, _QUARTER, _SCALE_OF_X = np.float32(0.5), np.float32(0.25), np.float32(14)
_ADD_TO_X, _ADD_TO_Y, _ADD_TO_B = np.float32(0.42), np.float32(0.01), np.float32(0.55)
_GUESS, _THIRD_OF_EXPONENT = np.int32(GUESS), np.int32(THIRD_OF_EXPONENT)
_MANTISSA_BITS = np.int32(MANTISSA_BITS)


def look_up(samples: Tensor, light: Tensor) -> Tensor:
    """Take the light of each sample from a table.

    Args:
        samples: uint8, (N, 3, H, W).
        light: float32, (256,).

    Returns:
        float32, contiguous, (N, 3, H, W).
    """
    linear = torch.empty(samples.shape, dtype=torch.float32)
    pixels, planes, table = as_pixels(samples), linear.numpy(), light.numpy()

    def convert(image: int, top: int, bottom: int) -> None:
        _look_up(pixels[image], table, planes[image], top, bottom)

    run_on_rows(convert, len(pixels), samples.shape[-2])
    return linear


def positive_xyb(linear: Tensor) -> Tensor:
    """Convert linear light to XYB, contiguous; see `roi_ray.metrics.xyb.positive_xyb`."""
    result = torch.empty(linear.shape, dtype=torch.float32)
    light, xyb = linear.contiguous().numpy(), result.numpy()

    def convert(image: int, top: int, bottom: int) -> None:
        _convert(light[image], xyb[image], top, bottom)

    run_on_rows(convert, len(light), linear.shape[-2])
    return result


def halve(linear: Tensor) -> Tensor:
    """Average 2 x 2 pixels; see `roi_ray.metrics.xyb.halve`."""
    height, width = ((side + 1) // 2 for side in linear.shape[-2:])
    halved = torch.empty(*linear.shape[:2], height, width)
    planes, result = as_planes(linear.contiguous()), as_planes(halved)

    def halve_rows(plane: int, top: int, bottom: int) -> None:
        _halve(planes[plane], result[plane], top, bottom)

    run_on_rows(halve_rows, len(planes), height)
    return halved


@exact_kernel
def _look_up(pixels, table, planes, top, bottom):
    for number in range(top, bottom):
        row = index(number)
        for column in range(planes.shape[2]):
            for channel in range(3):
                sample = pixels[row, index(3 * column + channel)]
                planes[index(channel), row, index(column)] = table[index(sample)]


@exact_kernel
def _convert(linear, xyb, top, bottom):
    for number in range(top, bottom):
        row = index(number)
        for each in range(linear.shape[2]):
            column = index(each)
            red, green, blue = (
                linear[0, row, column],
                linear[1, row, column],
                linear[2, row, column],
            )
            long = _mix(0, red, green, blue)
            medium = _mix(1, red, green, blue)
            short = _mix(2, red, green, blue)
            y = (long + medium) * _HALF
            xyb[0, row, column] = (long - medium) * _HALF * _SCALE_OF_X + _ADD_TO_X
            xyb[1, row, column] = y + _ADD_TO_Y
            xyb[2, row, column] = short - y + _ADD_TO_B


@exact_kernel
def _mix(signal, red, green, blue):
    """Mix a signal of L, M or S; return its cube root less that of the bias."""
    x = multiply_add(_ABSORBANCE[signal, 2], blue, _BIAS)
    x = multiply_add(_ABSORBANCE[signal, 1], green, x)
    x = multiply_add(_ABSORBANCE[signal, 0], red, x)
    exponent = bits_of(x) >> _MANTISSA_BITS
    root = from_bits(np.int32(_GUESS - exponent * _THIRD_OF_EXPONENT))
    third = x * _THIRD
    for _ in range(3):
        root = multiply_add(-third, _fourth_power(root), root * _FOUR_THIRDS)
    step = multiply_add(-x, _fourth_power(root), root)
    root = multiply_add(step, _THIRD, root)
    return multiply_add(root * root, x, _MINUS_ROOT_OF_BIAS)


@exact_kernel
def _fourth_power(x):
    square = x * x
    return square * square


@exact_kernel
def _halve(image, halved, top, bottom):
    """Average cells; the last row and column are repeated where a side is odd."""
    height, width = image.shape
    for row in range(top, bottom):
        above, below = index(2 * row), index(min(2 * row + 1, height - 1))
        for column in range(width // 2):
            left, right = index(2 * column), index(2 * column + 1)
            total = image[above, left] + image[above, right]
            total += image[below, left]
            total += image[below, right]
            halved[index(row), index(column)] = _QUARTER * total
        if width % 2:
            upper, lower = image[above, index(width - 1)], image[below, index(width - 1)]
            halved[index(row), index(width // 2)] = _QUARTER * (upper + upper + lower + lower)
