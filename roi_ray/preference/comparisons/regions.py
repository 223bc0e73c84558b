"""Comparisons without a region of interest: a preference model takes the basic metric instead.

Where the mask of an image is empty, there is no number under it: the `roi_` columns of its scores
are null, and `roi_fraction` says why. This is not an error. Comparisons keep the nulls, so that no
number has a wrong name; only what a model sees is replaced, here, by the metric of the whole image.

Both candidates of a comparison usually share the mask of their reference. Where the masks that a
user gave differ, and one of them is empty, both candidates take the basic metric: a number under a
mask cannot be compared with one of the whole image.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from roi_ray import schema
from roi_ray.errors import UsageError
from roi_ray.schema import Scores
from roi_ray.settings import EMPTY_MEAN

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


def basic_feature(feature: str) -> str:
    """Name the metric of the whole image: `psnr` for `roi_psnr`, and for `psnr` itself."""
    return feature.removeprefix("roi_")


def is_basic(feature: str) -> bool:
    """Whether a feature is of the whole image, not of what is under the mask."""
    return basic_feature(feature) == feature


def is_empty(fraction: Floats) -> Mask:
    """Mark the masks that are empty, (N,), from their `roi_fraction`; NaN means unknown."""
    empty: Mask = fraction < EMPTY_MEAN
    return empty


def lack_region(table: pa.Table) -> Mask:
    """Mark the comparisons in which a side has no region of interest, (N,).

    Args:
        table: comparisons with features. Without `roi_fraction_a` and `roi_fraction_b`, as in
            comparisons of old versions, no row is marked: there, a null is a missing number.
    """
    marks = np.zeros(len(table), np.bool_)
    for name in schema.PAIR_FRACTIONS:
        if name in table.column_names:
            marks |= is_empty(to_floats(table, name))
    return marks


def describe_substitution(count: int) -> str:
    """Tell people how many comparisons have no region of interest, and what a model does then."""
    return (
        f"{count} comparisons have no region of interest: the metrics of the whole image take the "
        "place of those under the mask"
    )


def feature_arrays(table: pa.Table, features: Sequence[str]) -> tuple[Floats, Floats]:
    """Extract the features of `a` and of `b` as a model sees them, (N, F) each; NaN if missing."""
    marks = lack_region(table)

    def extract(feature: str, side: str) -> Floats:
        values, basic = to_floats(table, f"{feature}_{side}"), f"{basic_feature(feature)}_{side}"
        if not marks.any() or basic not in table.column_names:
            return values
        return np.where(marks, to_floats(table, basic), values)

    a, b = (np.stack([extract(name, side) for name in features], 1) for side in schema.SIDES)
    return a, b


def scores_features(
    a: Sequence[Scores], b: Sequence[Scores], features: Sequence[str]
) -> tuple[Floats, Floats]:
    """Extract the features of N pairs as a model sees them, (N, F) each; NaN if missing.

    Raises:
        UsageError: a feature belongs to an optional metric that was not measured.
    """
    _check_measured([*a, *b], features)
    sides: tuple[list[list[float | None]], list[list[float | None]]] = ([], [])
    for pair in zip(a, b, strict=True):
        lacking = any(scores.roi_fraction < EMPTY_MEAN for scores in pair)
        names = [basic_feature(name) if lacking else name for name in features]
        for rows, scores in zip(sides, pair, strict=True):
            rows.append([getattr(scores, name) for name in names])
    first, second = (np.array(rows, np.float64).reshape(len(a), len(features)) for rows in sides)
    return first, second


def _check_measured(scores: Sequence[Scores], features: Sequence[str]) -> None:
    for name in features:
        metric = schema.optional_metric(name)
        # The number of the whole image is always there, so that None means "not asked for".
        if metric and any(getattr(each, basic_feature(name)) is None for each in scores):
            raise UsageError(
                f"the model needs {name}, which was not measured: score the images with "
                f"roi_ray.Settings(metrics=({metric!r},))"
            )


def to_floats(table: pa.Table, name: str) -> Floats:
    """Read a column of numbers, (N,); NaN where it is null."""
    values: Floats = table[name].to_numpy().astype(np.float64)
    return values
