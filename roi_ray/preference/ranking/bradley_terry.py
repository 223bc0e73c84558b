"""Bradley-Terry scores: how strong each name is, from pairwise preferences.

The model (Bradley and Terry, Biometrika 39, 1952): the share of people who prefer X to Y is
sigmoid(s_X - s_Y). Scores are in logits, higher is better, with mean 0: a lead of 1.1 means that
three people in four prefer X. They are fitted by maximum likelihood (Hunter, Annals of Statistics
32, 2004; solved by `choix`, Maystre and Grossglauser, NeurIPS 2015).

A weak prior gives each name half a win and half a loss against one imaginary opponent that all
names share. It keeps the scores of names that always win or always lose finite, and pulls names
with few answers towards the average. Names that no comparison links have no common scale: they are
fitted apart, see `components`.
"""

from dataclasses import dataclass, replace

import choix
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from roi_ray import schema
from roi_ray.errors import ManifestError
from roi_ray.preference.comparisons.table import number_groups

Floats = NDArray[np.float64]

PRIOR = 0.5
"""Wins, and losses, of each name against the imaginary opponent."""


@dataclass(frozen=True)
class Answers:
    """Answers to N comparisons of n names, as arrays.

    Attributes:
        names: the n names, in alphabetical order.
        a: index of the first name of each comparison, (N,).
        b: index of the second name, (N,).
        group: number of the reference, (N,).
        share: share of people who prefer `a`, (N,), 0..1.
        weight: number of answers that each comparison stands for, (N,).
        log_bit_ratio: log of the bit rate of `a` over that of `b`, (N,); NaN where unknown.
    """

    names: list[str]
    a: NDArray[np.intp]
    b: NDArray[np.intp]
    group: NDArray[np.intp]
    share: Floats
    weight: Floats
    log_bit_ratio: Floats

    def count_wins(self) -> Floats:
        """Count the answers that prefer the row's name to the column's, (n, n)."""
        n = len(self.names)
        wins = np.zeros((n, n))
        np.add.at(wins, (self.a, self.b), self.weight * self.share)
        np.add.at(wins, (self.b, self.a), self.weight * (1 - self.share))
        return wins

    def about(self, names: NDArray[np.intp]) -> "Answers":
        """Select the answers about some names, (m,), in rising order, which met no others."""
        rows = np.isin(self.a, names)
        return replace(
            self,
            names=[self.names[name] for name in names],
            a=np.searchsorted(names, self.a[rows]),
            b=np.searchsorted(names, self.b[rows]),
            group=self.group[rows],
            share=self.share[rows],
            weight=self.weight[rows],
            log_bit_ratio=self.log_bit_ratio[rows],
        )

    def takes_part(self, name: int) -> NDArray[np.bool_]:
        """Mark the comparisons that a name takes part in, (N,)."""
        marks: NDArray[np.bool_] = (self.a == name) | (self.b == name)
        return marks

    def bit_rate_ratio(self, name: int) -> float | None:
        """Compute a name's bit rate over its opponents', geometric mean over answers, or None."""
        ratio = np.where(self.a == name, self.log_bit_ratio, -self.log_bit_ratio)
        known = self.takes_part(name) & np.isfinite(ratio)
        if not known.any():
            return None
        return float(np.exp(np.average(ratio[known], weights=self.weight[known])))


def to_answers(rows: pa.Table, name_columns: tuple[str, str], label_column: str) -> Answers:
    """Turn comparisons into arrays.

    Args:
        rows: comparisons with a `group`, a name on each side and a label.
        name_columns: columns of the two names.
        label_column: column of the share of people who prefer `a`.
    """
    a, b = (rows[column].to_numpy().astype(str) for column in name_columns)
    names, numbers = np.unique(np.concatenate([a, b]), return_inverse=True)
    weight = np.ones(rows.num_rows)
    if schema.VOTES in rows.column_names:
        # A pair that nobody was asked about may still have a prediction, which counts once.
        weight = np.fmax(rows[schema.VOTES].cast(pa.float64()).to_numpy(), 1.0)
    log_bit_ratio = np.full(rows.num_rows, np.nan)
    if {schema.BPP_A, schema.BPP_B} <= set(rows.column_names):
        with np.errstate(all="ignore"):  # a bit rate of 0 gives an infinite logarithm
            log_a, log_b = (np.log(rows[bpp].to_numpy()) for bpp in (schema.BPP_A, schema.BPP_B))
            log_bit_ratio = log_a - log_b
    index_a, index_b = np.split(numbers, 2)
    return Answers(
        names.tolist(),
        index_a,
        index_b,
        number_groups(rows),
        rows[label_column].to_numpy(),
        weight,
        log_bit_ratio,
    )


def fit_scores(wins: Floats) -> Floats:
    """Fit the scores by maximum likelihood.

    Args:
        wins: number of answers that prefer the row's name to the column's, (n, n).

    Returns:
        scores in logits, (n,), with mean 0; higher is better.

    Raises:
        ManifestError: the answers are so one-sided that the fit does not converge.
    """
    padded = np.pad(wins, (0, 1), constant_values=PRIOR)
    padded[-1, -1] = 0
    try:
        with np.errstate(all="ignore"):
            scores = choix.ilsr_pairwise_dense(padded, 0.0, max_iter=10_000, tol=1e-6)
    except (RuntimeError, ValueError) as error:
        raise ManifestError(f"comparisons: too one-sided to be ranked: {error}") from error
    return np.asarray(scores[:-1] - scores[:-1].mean())
