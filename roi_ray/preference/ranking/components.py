"""Which names a Bradley-Terry model can compare: the parts of the graph of comparisons.

Scores of names that no chain of comparisons links cannot be compared at all. Where all answers
between two sets of linked names go the same way, it is known which set is better, but not by how
much: the likelihood rises as long as the two move apart. A distance is known only within a set that
is strongly connected (Hunter, Annals of Statistics 32, 2004, assumption 1).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csgraph

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]


def number_groups_of_names(wins: Floats) -> Ints:
    """Number the groups of names that comparisons link, from 0, the most answers first.

    Args:
        wins: number of answers that prefer the row's name to the column's, (n, n).

    Returns:
        number of each name's group, (n,).
    """
    count, labels = csgraph.connected_components(wins + wins.T, directed=False)
    return _renumber(labels, np.bincount(labels, wins.sum(0) + wins.sum(1), count))


def number_blocks(wins: Floats) -> Ints:
    """Number the blocks of a group, from 0, the best first.

    Within a block, every name is preferred to every other by some chain of answers. Every answer
    between two blocks prefers the one with the lower number.

    Args:
        wins: number of answers that prefer the row's name to the column's, (n, n).

    Returns:
        number of each name's block, (n,).
    """
    _, labels = csgraph.connected_components(wins, directed=True, connection="strong")
    # A block is preferred, by chains of answers, to all names that a block below it is preferred
    # to, and to that block as well.
    below = np.isfinite(csgraph.shortest_path(wins, unweighted=True)).sum(1)
    first = np.unique(labels, return_index=True)[1]
    return _renumber(labels, below[first])


def _renumber(labels: NDArray[np.int32], size: NDArray[Any]) -> Ints:
    """Number labels by falling size, in their own order where sizes are equal."""
    place = np.empty(len(size), np.intp)
    place[np.argsort(-size, kind="stable")] = np.arange(len(size))
    return place[labels]
