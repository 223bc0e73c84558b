# mypy: disable-error-code="no-untyped-def,untyped-decorator,no-untyped-call"
# ruff: noqa: ANN001, ANN202
"""SSIMULACRA2 on a CPU: means of the maps of a scale, which are never written."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from roi_ray.metrics.compiled.blur import (
    ALONE,
    PRODUCT,
    SQUARE,
    filter_across,
    load_state,
    make_state,
    save_state,
)
from roi_ray.metrics.compiled.recursion import STATE, filter_row
from roi_ray.metrics.compiled.rows import COLUMNS, index
from roi_ray.metrics.recursion import ColumnWindows
from roi_ray.metrics.ssimulacra2_scale import C2
from roi_ray.metrics.ssimulacra2_weights import ARTEFACT, DETAIL, SSIM, Channel
from roi_ray.runtime.compiled import exact_kernel, kernel, run_in_threads

_C2, _ZERO, _ONE, _TWO = np.float32(C2), np.float32(0), np.float32(1), np.float32(2)


class ScaleAverages:
    """Averages the maps of the channels of a scale of images that come in strips.

    Args:
        channels: the channels.
    """

    def __init__(self, channels: Sequence[Channel]) -> None:
        self._channels = channels
        # What is filtered: each channel, and of those with an SSIM-like error two products.
        self._factors: list[tuple[int, int]] = []
        self._planes = []
        for channel in channels:
            kinds = (ALONE, SQUARE, PRODUCT) if channel.has_ssim else (ALONE,)
            start = len(self._factors)
            self._factors += [(channel.index, kind) for kind in kinds]
            self._planes.append(slice(start, len(self._factors)))
        self._windows = ColumnWindows()
        self._state: Tensor | None = None

    def push(
        self,
        references: Tensor,
        images: Tensor,
        is_last: bool,
        late: Sequence[Tensor],
        weights: Tensor | None,
    ) -> list[tuple[Tensor, Tensor]]:
        """Add the next rows; average the rows of the maps that can be computed.

        Args:
            references: XYB, float32, (1 or N, 3, rows, w).
            images: XYB of the distorted images, (N, 3, rows, w).
            is_last: whether these are the last rows.
            late: for the rows of the maps, (1 or N, ..., h, w): XYB of the references, its local
                means, the local means of the squares of the channels that have an SSIM-like error,
                and XYB of the distorted images.
            weights: float32, contiguous, (1 or N, h, w); None for no mask.

        Returns:
            for each channel, means over the whole map, of its fourth power for a 4-norm, and means
            under the mask, (N, terms), float64; 0 if there are no rows.
        """
        window = self._windows.push(filter_across(images, references, self._factors), is_last)
        x, x_means, x_squares, y = (each.numpy() for each in late)
        height, width = y.shape[-2:]
        pieces = -(-width // COLUMNS)
        terms = [np.array([term[:2] for term in channel.terms]) for channel in self._channels]
        sums = [np.zeros((len(y), pieces, len(each), 2)) for each in terms]
        if window is not None:
            if self._state is None:
                self._state = make_state(window.rows)
            rows, states = window.rows.contiguous().numpy(), self._state.numpy()
            # Without a mask, any numbers will do.
            masks = x[:, 0] if weights is None else weights.numpy()

            def average_piece(number: int) -> None:
                number, piece = divmod(number, pieces)
                image, place = divmod(number, len(terms))
                channel, planes = self._channels[place], self._planes[place]
                reference = image % len(x)
                square = sum(each.has_ssim for each in self._channels[:place])
                _sum_maps(
                    x[reference, channel.index],
                    x_means[reference, channel.index],
                    # Without an SSIM-like error, any numbers will do.
                    x_squares[reference, square] if channel.has_ssim else x[reference, 0],
                    y[image, channel.index],
                    rows[image, planes],
                    states[image, planes],
                    window.first,
                    window.start,
                    masks[image % len(masks)],
                    terms[place],
                    piece * COLUMNS,
                    sums[place][image, piece],
                )

            run_in_threads(average_piece, len(y) * len(terms) * pieces)
        means = [torch.from_numpy(each.sum(1) / max(1, height * width)) for each in sums]
        return [(each[..., 0], each[..., 0 if weights is None else 1]) for each in means]


@exact_kernel
def _sum_maps(x, x_mean, x_square, y, rows, states, first, start, weights, terms, left, sums):
    """Add up the maps of some columns, and their products with the weights."""
    height, width = y.shape
    count = min(COLUMNS, width - left)
    planes = len(rows)
    state = np.empty((3, STATE * COLUMNS), np.float32)
    inputs = np.zeros((3, COLUMNS), np.float32)
    means = np.empty((3, COLUMNS), np.float32)
    maps = np.empty((3, COLUMNS), np.float32)
    for plane in range(planes):
        load_state(states[plane], left, count, state[plane])
    for position in range(first, start + height):
        for plane in range(planes):
            filter_row(
                rows[plane], position, left, count, inputs[plane], state[plane], means[plane]
            )
        row = position - start
        if row >= 0:
            _compare_edges(x, x_mean, y, row, left, count, means, maps)
            if planes > 1:
                _compare_structure(x_mean, x_square, row, left, count, means, maps)
            for term in range(len(terms)):
                is_fourth_power, kind = terms[term]
                whole, masked = _sum_row(maps[kind], is_fourth_power, weights, row, left, count)
                sums[term, 0] += whole
                sums[term, 1] += masked
    for plane in range(planes):
        save_state(state[plane], states[plane], left, count)


@exact_kernel
def _compare_edges(x, x_mean, y, row, left, count, means, maps):
    """Compute artefacts and lost detail of a row."""
    for number in range(count):
        column = index(left + number)
        x_edge = abs(x[index(row), column] - x_mean[index(row), column])
        y_edge = abs(y[index(row), column] - means[0, index(number)])
        ratio = (y_edge - x_edge) / (x_edge + _ONE)
        maps[ARTEFACT, index(number)] = _ZERO if ratio < _ZERO else ratio
        maps[DETAIL, index(number)] = _ZERO if -ratio < _ZERO else -ratio


@exact_kernel
def _compare_structure(x_mean, x_square, row, left, count, means, maps):
    """Compute the SSIM-like error of a row."""
    for number in range(count):
        column = index(left + number)
        x, y = x_mean[index(row), column], means[0, index(number)]
        y_square, product = means[1, index(number)], means[2, index(number)]
        difference = x - y
        luminance = _ONE - difference * difference
        covariance = (product - x * y) * _TWO + _C2
        variances = (y_square - y * y) + (x_square[index(row), column] - x * x) + _C2
        error = _ONE - luminance * covariance / variances
        maps[SSIM, index(number)] = _ZERO if error < _ZERO else error


@kernel
def _sum_row(values, is_fourth_power, weights, row, left, count):
    """Add up a row of a map, and its product with the weights, in float64."""
    whole = masked = 0.0
    for number in range(count):
        value = values[index(number)]
        if is_fourth_power:
            value *= value
            value *= value
        whole += np.float64(value)
        masked += np.float64(value * weights[index(row), index(left + number)])
    return whole, masked
