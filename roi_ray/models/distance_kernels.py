# mypy: disable-error-code="no-untyped-def,untyped-decorator,no-untyped-call,no-any-return"
# ruff: noqa: ANN001, ANN202
"""Compiled kernels: features of unit length, and LPIPS' distance of two layers, in one pass each.

Torch's operations would write to memory the normalised features, their difference and its square.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from roi_ray.runtime.compiled import kernel, run_in_threads

_VALUES_PER_TASK = 1 << 17

_Array = NDArray[np.float32]


def normalize_layers(layers: Sequence[Tensor]) -> list[Tensor]:
    """Divide the channels at each position by their length plus 1e-10.

    Args:
        layers: activations, float32, (N, C, h, w) each, best in memory format channels last.

    Returns:
        float32, (N, C, h, w) each, channels last.
    """
    results, tasks = [], []
    for layer in layers:
        source = _view_positions(layer)
        target = layer.new_empty(len(layer), *layer.shape[2:], layer.shape[1])
        results.append(target.permute(0, 3, 1, 2))
        tasks += _split(partial(_normalize, source, target.numpy().reshape(source.shape)), source)
    run_in_threads(lambda number: tasks[number](), len(tasks))
    return results


def compute_distances(
    references: Sequence[Tensor], distorted: Sequence[Tensor], heads: Sequence[Tensor]
) -> list[Tensor]:
    """Compute the weighted squared distance at each position, of all layers.

    Args:
        references: features of the reference, normalised to unit length, float32, (1 or N, C, h, w)
            each.
        distorted: activations of the distorted images, float32, (N, C, h, w) each.
        heads: weights of the channels, float32, C values of any shape each.

    Returns:
        float32, (N, h, w) each: 0 or more, lower is better.
    """
    results, tasks = [], []
    for x, y, head in zip(references, distorted, heads, strict=True):
        features, activations = _view_positions(x), _view_positions(y)
        out = head.new_empty(len(y), *y.shape[2:])
        results.append(out)
        weights, distances = head.flatten().numpy(), out.view(-1).numpy()
        tasks += _split(partial(_distance, features, activations, weights, distances), activations)
    # All layers together, so that the threads start once.
    run_in_threads(lambda number: tasks[number](), len(tasks))
    return results


def _view_positions(layer: Tensor) -> _Array:
    """View a layer as (positions, C): without a copy if it is channels last, as it usually is."""
    count, channels, height, width = layer.shape
    array: _Array = layer.permute(0, 2, 3, 1).contiguous().numpy()
    return array.reshape(count * height * width, channels)


def _split(run: Callable[[int, int], object], values: _Array) -> list[Callable[[], object]]:
    """Split `run(start, end)` over all positions of values, (positions, C), into tasks."""
    positions, channels = values.shape
    step = max(1, _VALUES_PER_TASK // max(1, channels))
    return [
        partial(run, start, min(start + step, positions)) for start in range(0, positions, step)
    ]


@kernel
def _inverse_length(values, position):
    total = np.float32(0)
    for c in range(values.shape[1]):
        total += values[position, c] * values[position, c]
    return np.float32(1) / (np.float32(math.sqrt(total)) + np.float32(1e-10))


@kernel
def _normalize(values, out, start, end):
    for position in range(start, end):
        scale = _inverse_length(values, position)
        for c in range(values.shape[1]):
            out[position, c] = values[position, c] * scale


@kernel
def _distance(features, activations, weights, out, start, end):
    for position in range(start, end):
        scale = _inverse_length(activations, position)
        feature = position % features.shape[0]
        total = np.float32(0)
        for c in range(activations.shape[1]):
            difference = activations[position, c] * scale - features[feature, c]
            total += difference * difference * weights[c]
        out[position] = total
