"""Comparisons with features as arrays: what models are trained on and asked about."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from roi_ray import schema
from roi_ray.errors import ManifestError
from roi_ray.preference.comparisons import count_votes, drop_gold_and_failed, number_groups
from roi_ray.preference.features import check_features, scored_with

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Examples:
    """Labelled comparisons.

    Attributes:
        features: names, F of them.
        a: features of the one candidate, (N, F), in the features' own units.
        b: of the other.
        p_a: share of people who prefer `a`, (N,), 0..1.
        weight: votes behind it, (N,).
        group: a number for each reference, (N,), from 0; not to be divided by a split.
    """

    features: tuple[str, ...]
    a: Floats
    b: Floats
    p_a: Floats
    weight: Floats
    group: Ints

    def __len__(self) -> int:
        """Comparisons."""
        return len(self.p_a)

    def take(self, rows: NDArray[np.integer] | NDArray[np.bool_]) -> "Examples":
        """Some of them."""
        return Examples(
            self.features,
            self.a[rows],
            self.b[rows],
            self.p_a[rows],
            self.weight[rows],
            self.group[rows],
        )

    def only(self, features: Sequence[str]) -> "Examples":
        """The same with some of the features, in this order."""
        at = [self.features.index(feature) for feature in features]
        return Examples(
            tuple(features), self.a[:, at], self.b[:, at], self.p_a, self.weight, self.group
        )

    def swapped(self) -> "Examples":
        """The same comparisons with the candidates' places exchanged."""
        return Examples(self.features, self.b, self.a, 1 - self.p_a, self.weight, self.group)


def parse_features(text: str) -> tuple[str, ...]:
    """Feature names from `basic`, `roi` (all eight), or names with commas between.

    Raises:
        ManifestError: an unknown name.
    """
    sets = {"basic": schema.BASIC_FEATURES, "roi": schema.FEATURES}
    names = sets.get(text) or tuple(name.strip() for name in text.split(","))
    if unknown := [name for name in names if name not in schema.FEATURES]:
        raise ManifestError(
            f"unknown feature {unknown[0]!r}: give basic, roi, or some of "
            f"{', '.join(schema.FEATURES)}"
        )
    return names


def select_trainable(table: pa.Table, features: tuple[str, ...]) -> pa.Table:
    """Comparisons that can be learned from: labelled, no control questions, both sides scored."""
    table = drop_gold_and_failed(table)
    labelled = pc.is_valid(table[schema.P_A])
    return table.filter(pc.and_(labelled, pa.array(scored(table, features))))


def scored(table: pa.Table, features: tuple[str, ...]) -> NDArray[np.bool_]:
    """Whether both sides of a comparison have all features, (N,)."""
    return np.array(np.isfinite(sides(table, features)).all((0, 2)), np.bool_)


def to_examples(table: pa.Table, features: tuple[str, ...], name: str) -> Examples:
    """Labelled comparisons as arrays: those that are `usable`.

    Args:
        table: comparisons with features, checked by `read_comparisons`.
        features: which of them.
        name: of the table, for errors.

    Raises:
        ManifestError: features are missing, or not all of one make; fewer than two references are
            left, or all answers say the same side.
    """
    check_features(table, features, name)
    scored_with(table, name)
    table = select_trainable(table, features)
    group = number_groups(table)
    if (references := len(np.unique(group))) < 2:
        raise ManifestError(
            f"comparisons {name} have labels and features for {references} references; "
            "at least 2 are needed, as splits are by reference"
        )
    p_a = table[schema.P_A].to_numpy().copy()  # Arrow's are read-only
    # A set in which one side always wins teaches that place, not the pictures, decides.
    if p_a.min() >= 0.5 or p_a.max() <= 0.5:
        raise ManifestError(
            f"comparisons {name}: no answer prefers {'b' if p_a.min() >= 0.5 else 'a'}; there must "
            "be answers for both sides (is the winner always in the same column?)"
        )
    return Examples(
        features,
        *(sides(table, features)),
        p_a,
        count_votes(table),
        group,
    )


def sides(table: pa.Table, features: tuple[str, ...]) -> tuple[Floats, Floats]:
    """Features of `a` and of `b`, each (N, F); NaN where there are none."""
    a, b = (
        np.stack(
            [table[f"{feature}_{side}"].to_numpy().astype(np.float64) for feature in features], 1
        )
        for side in schema.SIDES
    )
    return a, b
