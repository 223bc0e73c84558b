"""Labelled comparisons with features as arrays, for training and evaluation."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from roi_ray import schema
from roi_ray.errors import ManifestError, UsageError
from roi_ray.preference.comparisons.features import check_features, check_names
from roi_ray.preference.comparisons.provenance import features_provenance
from roi_ray.preference.comparisons.regions import feature_arrays, is_basic
from roi_ray.preference.comparisons.table import count_votes, drop_gold_and_failed, number_groups

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Examples:
    """N labelled comparisons with F features per candidate.

    Attributes:
        features: names of the features.
        a: features of the first candidate, (N, F), in the features' own units; the basic feature
            in place of a `roi_` feature where there is no region of interest (see `regions`).
        b: features of the second candidate, (N, F).
        p_a: share of people who prefer `a`, (N,), 0..1.
        weight: votes behind `p_a`, (N,).
        group: number of the reference, (N,), from 0; a split must not divide a group.
    """

    features: tuple[str, ...]
    a: Floats
    b: Floats
    p_a: Floats
    weight: Floats
    group: Ints

    def __len__(self) -> int:
        """Return the number of comparisons."""
        return len(self.p_a)

    def take(self, rows: NDArray[np.integer] | NDArray[np.bool_]) -> "Examples":
        """Select comparisons by their numbers or by a mask."""
        return Examples(
            self.features,
            self.a[rows],
            self.b[rows],
            self.p_a[rows],
            self.weight[rows],
            self.group[rows],
        )

    def only(self, features: Sequence[str]) -> "Examples":
        """Select some of the features, in this order."""
        columns = [self.features.index(feature) for feature in features]
        return Examples(
            tuple(features),
            self.a[:, columns],
            self.b[:, columns],
            self.p_a,
            self.weight,
            self.group,
        )

    def swapped(self) -> "Examples":
        """Exchange `a` and `b` in all comparisons."""
        return Examples(self.features, self.b, self.a, 1 - self.p_a, self.weight, self.group)


def parse_features(text: str, default: tuple[str, ...]) -> tuple[str, ...]:
    """Parse the names of features: `basic`, `roi`, or a list such as `psnr,lpips`.

    Args:
        text: `roi` for all default features, `basic` for those of the whole image.
        default: the features of a recipe.

    Raises:
        UsageError: a name is unknown, or given twice.
    """
    if text == "roi":
        return default
    if text == "basic":
        return select_basic(default)
    names = tuple(name.strip() for name in text.split(","))
    check_names(names)
    if twice := [name for name in names if names.count(name) > 1]:
        raise UsageError(f"the feature {twice[0]!r} is given twice")
    return names


def select_basic(features: Sequence[str]) -> tuple[str, ...]:
    """Select the features of the whole image."""
    return tuple(name for name in features if is_basic(name))


def select_trainable(table: pa.Table, features: tuple[str, ...]) -> pa.Table:
    """Select comparisons with a label and features, without control questions and errors."""
    table = drop_gold_and_failed(table)
    labelled = pc.is_valid(table[schema.P_A])
    return table.filter(pc.and_(labelled, pa.array(has_features(table, features))))


def has_features(table: pa.Table, features: tuple[str, ...]) -> NDArray[np.bool_]:
    """Mark the comparisons that have all features of both sides, (N,); see `feature_arrays`."""
    return np.array(np.isfinite(feature_arrays(table, features)).all((0, 2)), np.bool_)


def to_examples(table: pa.Table, features: tuple[str, ...], name: str) -> Examples:
    """Turn the comparisons that can be trained on into arrays; see `select_trainable`.

    Args:
        table: comparisons with features, checked by `read_comparisons`.
        features: names of the features.
        name: name of the comparisons, for error messages.

    Raises:
        UsageError: a feature is unknown.
        ManifestError: columns of features are missing, or come from different weights or settings;
            fewer than two references are left; or all answers prefer the same side.
    """
    check_features(table, features, name)
    features_provenance(table, name)
    table = select_trainable(table, features)
    group = number_groups(table)
    if (references := len(np.unique(group))) < 2:
        raise ManifestError(
            f"comparisons {name} have labels and features for {references} references; "
            "at least 2 are needed, as splits are by reference"
        )
    p_a = table[schema.P_A].to_numpy().copy()  # Arrow's arrays are read-only
    # If one side always won, a model could learn the side instead of the images.
    if p_a.min() >= 0.5 or p_a.max() <= 0.5:
        raise ManifestError(
            f"comparisons {name}: no answer prefers {'b' if p_a.min() >= 0.5 else 'a'}; both sides "
            "must win some (is the winner always in the same column?)"
        )
    return Examples(features, *feature_arrays(table, features), p_a, count_votes(table), group)
