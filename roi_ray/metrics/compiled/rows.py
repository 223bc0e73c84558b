# mypy: disable-error-code="no-untyped-def,untyped-decorator,no-untyped-call"
# ruff: noqa: ANN001, ANN201
"""What kernels on rows of planes share."""

import numpy as np
from torch import Tensor

from roi_ray.runtime.compiled import kernel, run_in_threads

COLUMNS = 512
"""Rows are processed in pieces of at most this many columns, so that intermediate results stay in
the L1 cache."""

LANES = 16
"""float32 values in the widest registers. A loop over a multiple of them is vectorised to its end;
the remainder of others is computed one column at a time."""

_TASK_ROWS = 64


def as_planes(images: Tensor):
    """View contiguous images (..., H, W) as an array of planes (N, H, W); H may be 0."""
    return images.detach().flatten(0, -3).numpy()


def run_on_rows(task, planes: int, height: int) -> None:
    """Call `task(plane, top, bottom)` for all rows of all planes, in threads."""
    tasks = -(-height // _TASK_ROWS)

    def run(number: int) -> None:
        plane, part = divmod(number, tasks)
        task(plane, part * _TASK_ROWS, min((part + 1) * _TASK_ROWS, height))

    run_in_threads(run, planes * tasks)


index = np.uintp
"""Type of an index in an inner loop. A signed one might be negative and count from the end, so that
the loop could not be vectorised."""


@kernel
def cut(width, piece, pieces):
    """Return the first column of a piece of a row, and the number of its columns."""
    left = width * piece // pieces
    return left, width * (piece + 1) // pieces - left


@kernel
def sum_row(values, weights, row, left, count):
    """Add up a piece of a row, and its product with the weights."""
    whole = masked = np.float32(0)
    for column in range(count):
        value = values[index(column)]
        whole += value
        masked += value * weights[index(row), index(left + column)]
    return whole, masked
