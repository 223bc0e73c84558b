"""What votes are to teach about, as an active order needs it: the ranking, or a model."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from roi_ray import schema
from roi_ray.errors import ManifestError
from roi_ray.votes.asking.beliefs import Belief, Floats
from roi_ray.votes.asking.model_prior import prepare_weights
from roi_ray.votes.asking.ranking_posterior import make_leads, make_prior
from roi_ray.votes.options import By

NAME_COLUMNS = {
    "method": (schema.METHOD_A, schema.METHOD_B),
    "codec": (schema.CODEC_A, schema.CODEC_B),
}


@dataclass(frozen=True, eq=False)
class Subject:
    """Unknown numbers that votes tell about, and how the leads of N questions depend on them.

    Attributes:
        x: what the different leads are made of, (L, n), see `beliefs`.
        lead_rows: row of `x` of each question, (N,); -1 where a vote would tell nothing.
        prior: what is known without votes.
    """

    x: Floats
    lead_rows: NDArray[np.intp]
    prior: Belief


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
    rows, a, b = _select_names(table, by)
    if not rows.size:
        raise ManifestError(f"no question compares two different {by}s, so that none is ranked")
    names, numbers = np.unique(np.concatenate([a, b]), return_inverse=True)
    n = len(names)
    number_a, number_b = np.split(numbers, 2)
    pairs, inverse = np.unique(number_a * n + number_b, return_inverse=True)
    lead_rows = np.full(len(table), -1, np.intp)
    lead_rows[rows] = inverse
    return Subject(make_leads(pairs // n, pairs % n, n), lead_rows, make_prior(n))


def list_names(table: pa.Table, by: By) -> set[str]:
    """List the names that votes about some questions rank.

    Args:
        table: questions; they may lack the columns of the names.
        by: what is ranked.

    Examples:
        >>> list_names(pa.table({"codec_a": ["x", "y"], "codec_b": ["x", None]}), "codec")
        set()
    """
    if not set(NAME_COLUMNS[by]) <= set(table.column_names):
        return set()
    _, a, b = _select_names(table, by)
    return {*a.tolist(), *b.tolist()}


def train_model(table: pa.Table, model: str) -> Subject:
    """Prepare to learn the weights of a preference model; see `prepare_weights`."""
    x, prior = prepare_weights(table, model)
    rows = np.flatnonzero(np.isfinite(x).all(1))
    lead_rows = np.full(len(x), -1, np.intp)
    lead_rows[rows] = np.arange(len(rows))
    return Subject(x[rows], lead_rows, prior)


def _select_names(
    table: pa.Table, by: By
) -> tuple[NDArray[np.intp], NDArray[np.str_], NDArray[np.str_]]:
    """Select the questions that compare two different names: their rows, and the names."""
    a, b = (np.array(table[column].to_pylist(), object) for column in NAME_COLUMNS[by])
    rows = np.flatnonzero([bool(x) and bool(y) and x != y for x, y in zip(a, b, strict=True)])
    return rows, a[rows].astype(str), b[rows].astype(str)
