"""What votes are to teach about, as an active order needs it: the ranking, or a model."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from roi_ray import schema
from roi_ray.errors import ManifestError
from roi_ray.votes.asking.beliefs import Belief, Floats
from roi_ray.votes.asking.model_posterior import fit_weights, prepare_weights
from roi_ray.votes.asking.ranking_posterior import PRIOR_PRECISION, fit_ranking
from roi_ray.votes.options import By

NAME_COLUMNS = {
    "method": (schema.METHOD_A, schema.METHOD_B),
    "codec": (schema.CODEC_A, schema.CODEC_B),
}


@dataclass(frozen=True, eq=False)
class Subject:
    """Unknown numbers that votes tell about, and how the leads of N questions depend on them.

    Attributes:
        x: the different leads, (L, n), see `beliefs`.
        lead: row of `x` of each question, (N,); -1 where a vote would tell nothing.
        prior: what is known without votes.
        fit: computes what is known with votes, from the `x` of each vote, (V, n), and the shares,
            (V,); None if it fails. Pickle can carry it.
    """

    x: Floats
    lead: NDArray[np.intp]
    prior: Belief
    fit: Callable[[Floats, Floats], Belief | None]


def rank_names(table: pa.Table, by: By) -> Subject:
    """Prepare to learn the ranking of methods or codecs.

    Args:
        table: questions.
        by: what is ranked.

    Raises:
        ManifestError: no question compares two names.
    """
    columns = NAME_COLUMNS[by]
    if not set(columns) <= set(table.column_names):
        raise ManifestError(
            f"the questions have no columns {columns[0]!r} and {columns[1]!r}, so that votes "
            f"cannot rank {by}s: ask in random order, or add the columns"
        )
    a, b = (np.array(table[column].to_pylist(), object) for column in columns)
    rows = np.flatnonzero([bool(x) and bool(y) and x != y for x, y in zip(a, b, strict=True)])
    if not rows.size:
        raise ManifestError(f"no question compares two different {by}s, so that none is ranked")
    both = np.concatenate([a[rows], b[rows]]).astype(str)
    names, numbers = np.unique(both, return_inverse=True)
    n = len(names)
    first, second = np.split(numbers, 2)
    pairs, inverse = np.unique(first * n + second, return_inverse=True)
    x = np.zeros((len(pairs), n))
    x[np.arange(len(pairs)), pairs // n] = 1
    x[np.arange(len(pairs)), pairs % n] = -1
    lead = np.full(len(table), -1, np.intp)
    lead[rows] = inverse
    prior = Belief(np.zeros(n), np.eye(n) / PRIOR_PRECISION)
    return Subject(x, lead, prior, _fit_scores)


def train_model(table: pa.Table, model: str) -> Subject:
    """Prepare to learn the weights of a preference model; see `prepare_weights`."""
    x, prior = prepare_weights(table, model)
    rows = np.flatnonzero(np.isfinite(x).all(1))
    lead = np.full(len(x), -1, np.intp)
    lead[rows] = np.arange(len(rows))
    return Subject(x[rows], lead, prior, partial(fit_weights, prior))


def _fit_scores(x: Floats, shares: Floats) -> Belief | None:
    n = x.shape[1]
    first, second = x.argmax(1), x.argmin(1)
    wins = np.zeros((n, n))
    np.add.at(wins, (first, second), shares)
    np.add.at(wins, (second, first), 1 - shares)
    return fit_ranking(wins)
