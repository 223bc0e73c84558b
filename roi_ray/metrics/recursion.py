"""The recursion of SSIMULACRA2's Gaussian filter, see `recursive_gaussian`: across, and down."""

import functools
import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from roi_ray.metrics.multiply_add import add_product_
from roi_ray.metrics.strips import RowBuffer

SIGMA = 1.5
RADIUS = round(3.2795 * SIGMA + 0.2546)  # (57) of the paper
ROWS_AHEAD = RADIUS - 1
"""Rows on each side of a row that its mean depends on."""

_FREQUENCIES = torch.tensor([1, 3, 5], dtype=torch.float64) * math.pi / (2 * RADIUS)  # its table I

_LANES = 4
FIRST_BLOCK = 8  # the first multiple of 4 where both inputs are inside the image
# Rows that are filtered at once on a CPU, for the same reason as `Blur`'s pixels.
_LINES = 1 << 11


@functools.cache
def gaussian_taps() -> Tensor:
    """Return the filter's taps, float64, (9,): sum 1, variance 2.25."""
    position = torch.arange(1 - RADIUS, RADIUS, dtype=torch.float64)
    return _amplitudes() @ torch.cos(_FREQUENCIES[:, None] * position)


def _amplitudes() -> Tensor:
    """Return the amplitudes of the cosines, float64, (3,).

    They are those of the Gaussian's Fourier series, (50), with the smallest change that makes the
    taps' sum 1 and their variance that of the Gaussian: (52) to (56), solved by least squares.
    """
    position = torch.arange(1 - RADIUS, RADIUS, dtype=torch.float64)
    cosines = torch.cos(_FREQUENCIES[:, None] * position)
    series = torch.exp(-((SIGMA * _FREQUENCIES) ** 2) / 2) / RADIUS
    moments = torch.stack([cosines.sum(1), (cosines * position**2).sum(1)])
    wanted = torch.tensor([1, SIGMA**2], dtype=torch.float64)
    change: Tensor = torch.linalg.pinv(moments) @ (wanted - moments @ series)
    return series + change


@functools.cache
def coefficients(device: torch.device) -> tuple[Tensor, ...]:
    """Return the coefficients of the recursion, float32, for each cosine and each of four columns.

    A cosine's output is `y[n] = gain s[n] - feedback y[n-1] - y[n-2]`, (35), where `s[n]` is the
    sum of the inputs that enter and leave the window. Unrolled, the next four outputs need only
    inputs and the last two outputs: column `j` is `of_previous[j] y[n-1] + of_earlier[j] y[n-2]`
    plus `of_input[j - i] s[n+i]` for each `i` up to `j`.

    Returns:
        gain and feedback, (3, 1); of_input, of_previous and of_earlier, (3, 4, 1).
    """
    feedback = -2 * torch.cos(_FREQUENCIES)
    gain = -_amplitudes() * torch.cos(_FREQUENCIES * (RADIUS + 1))
    response = [torch.ones_like(gain), -feedback]  # to an impulse
    while len(response) <= _LANES:
        response.append(-feedback * response[-1] - response[-2])
    of_input = gain[:, None] * torch.stack(response[:_LANES], dim=1)
    of_previous = torch.stack(response[1 : _LANES + 1], dim=1)
    of_earlier = -torch.stack(response[:_LANES], dim=1)
    exact = (gain, feedback, of_input, of_previous, of_earlier)
    return tuple(each[..., None].to(device, torch.float32) for each in exact)


def filter_across(planes: Tensor) -> Tensor:
    """Filter the rows of (P, H, W)."""
    filtered = torch.empty(planes.shape, device=planes.device)
    lines, results = planes.reshape(-1, planes.shape[2]), filtered.view(-1, planes.shape[2])
    count = len(lines) if planes.is_cuda else _LINES
    for start in range(0, len(lines), count):
        group = slice(start, start + count)
        results[group] = _filter_columns(lines[group].T.contiguous()).T
    return filtered


def _filter_columns(columns: Tensor) -> Tensor:
    """Filter (W, R) along W: one by one where the window is cut, else four columns at once."""
    width, lines = columns.shape
    filtered = torch.empty_like(columns)
    inputs, outputs = columns.unbind(), filtered.unbind()
    last_block = width - RADIUS - _LANES + 1
    block_end = FIRST_BLOCK + max(0, last_block - FIRST_BLOCK + _LANES) // _LANES * _LANES
    earlier, previous = columns.new_zeros(2, 3, lines).unbind()
    for position in range(1 - RADIUS, min(FIRST_BLOCK, width)):
        earlier, previous = _filter_column(inputs, position, earlier, previous)
        if position >= 0:
            _sum_cosines(previous.unbind(), outputs[position])
    if block_end > FIRST_BLOCK:
        earlier, previous = _filter_blocks(columns, block_end, earlier, previous, filtered)
    for position in range(block_end, width):
        earlier, previous = _filter_column(inputs, position, earlier, previous)
        _sum_cosines(previous.unbind(), outputs[position])
    return filtered


def _filter_column(
    inputs: Sequence[Tensor], position: int, earlier: Tensor, previous: Tensor
) -> tuple[Tensor, Tensor]:
    """Compute the next column of each cosine; return the last two, (3, R)."""
    _, _, of_input, of_previous, _ = coefficients(previous.device)
    output = (of_input[:, 0] * _sum_of_inputs(inputs, position)).sub_(earlier)
    return previous, add_product_(output, of_previous[:, 0], previous)


def _filter_blocks(
    columns: Tensor, end: int, earlier: Tensor, previous: Tensor, filtered: Tensor
) -> tuple[Tensor, Tensor]:
    """Filter from `FIRST_BLOCK` to `end` in blocks of four columns; return the last two, (3, R).

    Views are made once, because making one takes as long as adding a thousand pixels.
    """
    _, _, of_input, of_previous, of_earlier = coefficients(columns.device)
    blocks = (-1, _LANES, columns.shape[1])
    entering = columns[FIRST_BLOCK + RADIUS - 1 : end + RADIUS - 1].view(blocks).unbind()
    leaving = columns[FIRST_BLOCK - RADIUS - 1 : end - RADIUS - 1].view(blocks).unbind()
    results = filtered[FIRST_BLOCK:end].view(blocks).unbind()
    sums = torch.empty_like(results[0])
    sum_of_lane = sums.unbind()
    lanes = range(1, _LANES)
    delayed = [of_input[:, : _LANES - lane] for lane in lanes]
    earlier, previous = earlier[:, None], previous[:, None]
    buffers = []
    for outputs in torch.empty(2, 3, *sums.shape, device=sums.device):
        tails = [outputs[:, lane:] for lane in lanes]
        buffers.append((outputs, outputs.unbind(), tails, outputs[:, -2:-1], outputs[:, -1:]))
    for old, new, result in zip(leaving, entering, results, strict=True):
        outputs, cosines, tails, next_earlier, next_previous = buffers[0]
        torch.add(old, new, out=sums)
        torch.mul(of_input, sum_of_lane[0], out=outputs)
        for lane, tail, coefficient in zip(lanes, tails, delayed, strict=True):
            add_product_(tail, coefficient, sum_of_lane[lane])
        add_product_(outputs, of_earlier, earlier)
        add_product_(outputs, of_previous, previous)
        _sum_cosines(cosines, result)
        earlier, previous = next_earlier, next_previous
        buffers.reverse()
    return earlier[:, 0], previous[:, 0]


class Window(NamedTuple):
    """Rows of planes that are filtered across, to be filtered down.

    Attributes:
        rows: rows that the outputs see, inside the image, (..., R, W).
        first: where the recursion goes on; before `start` where the image begins. As all positions,
            it counts from the first of `rows`.
        start: the first output.
        end: the position after the last output.
    """

    rows: Tensor
    first: int
    start: int
    end: int


class ColumnWindows:
    """Collects rows of planes that come in strips, for the recursion down."""

    def __init__(self) -> None:
        self._rows = RowBuffer(2 * RADIUS + 1, padding=RADIUS + 1, padding_below=ROWS_AHEAD)
        self._has_begun = False

    def push(self, planes: Tensor, is_last: bool) -> Window | None:
        """Add the next rows, (..., rows, W); take those that the next outputs see, if any."""
        window = self._rows.push(planes, is_last)
        if window is None:
            return None
        start, end = RADIUS + 1 - window.above, window.rows.shape[-2] + window.below - ROWS_AHEAD
        # At first, the window only reaches the image.
        first = start if self._has_begun else 1 - RADIUS
        self._has_begun = True
        return Window(window.rows, first, start, end)


class ColumnFilter:
    """Filters the columns of planes that come in strips: the recursion, row by row."""

    def __init__(self) -> None:
        self._windows = ColumnWindows()
        self._states: list[tuple[Tensor, Sequence[Tensor]]] = []

    def push(self, planes: Tensor, is_last: bool) -> Tensor:
        """Add the next rows, (P, rows, W); take the rows that can be filtered, (P, h, W)."""
        window = self._windows.push(planes, is_last)
        if window is None:
            return planes[:, :0]
        rows, first, start, end = window
        gain, feedback = (each[..., None] for each in coefficients(planes.device)[:2])
        inputs = rows.unbind(1)
        filtered = planes.new_empty(len(planes), end - start, planes.shape[2])
        outputs = dict(zip(range(start, end), filtered.unbind(1), strict=True))
        if not self._states:
            states = planes.new_zeros(2, 3, *inputs[0].shape).unbind()
            self._states = [(state, state.unbind()) for state in states]
        for position in range(first, end):
            # The negative of the output is computed in place of y[n-2].
            (earlier, cosines), (previous, _) = self._states
            add_product_(earlier, feedback, previous)
            add_product_(earlier, gain, _sum_of_inputs(inputs, position), sign=-1).neg_()
            if position in outputs:
                _sum_cosines(cosines, outputs[position])
            self._states.reverse()
        return filtered


def _sum_of_inputs(inputs: Sequence[Tensor], position: int) -> Tensor:
    """Return the sum of the inputs that enter and leave the window; 0 outside the image."""
    leaving, entering = position - RADIUS - 1, position + RADIUS - 1
    if leaving < 0:
        return inputs[entering] if entering < len(inputs) else torch.zeros_like(inputs[0])
    return inputs[leaving] + inputs[entering] if entering < len(inputs) else inputs[leaving]


def _sum_cosines(cosines: Sequence[Tensor], total: Tensor) -> None:
    first, second, third = cosines
    torch.add(second, third, out=total).add_(first)
