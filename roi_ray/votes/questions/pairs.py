"""Choose pairs of images of one original at random, without listing all of them.

A part of all pairs is spread evenly over originals and methods. The images of an original lie on a
ring, those of methods that were chosen least first, others in random order. Some pairs are made of
neighbours on the ring, then of images that are further apart; those of the methods that were chosen
least are taken.
"""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from roi_ray.errors import UsageError
from roi_ray.votes.questions.score_columns import Codes

MayAsk = Callable[[Codes, Codes], NDArray[np.bool_]]
"""Function of the numbers of both images of K pairs, (K,) each: which pairs may be asked, (K,)."""

_MOST_TRIED = 2**22
"""Pairs of an original that are tried, at most, while none of them may be asked."""

_CHOICE, _STEPS = 4, 64
"""Pairs to choose each pair from; steps of choosing the pairs of an original, at least if it has as
many."""

_LINK_DISTANCES, _LINK_REFERENCES = 8, 64
"""What `link_methods` tries: distances on the ring of every original; originals with all pairs."""


def share_out(total: int, capacities: Codes) -> Codes:
    """Share a number out among places as evenly as their capacities allow.

    Args:
        total: the number.
        capacities: the most that each place takes, (N,). Where some places must get one less than
            others, these are the last ones.

    Returns:
        what each place gets, (N,); the sum is `total`, or less if all are full.

    Examples:
        >>> share_out(10, np.array([2, 9, 9]))
        array([2, 4, 4])
        >>> share_out(4, np.array([9, 9, 9]))
        array([2, 1, 1])
    """
    shares = np.zeros(len(capacities), np.int64)
    while total > 0 and len(open_places := np.flatnonzero(shares < capacities)):
        each = total // len(open_places)
        if each == 0:
            open_places, each = open_places[:total], 1
        gain = np.minimum(each, capacities[open_places] - shares[open_places])
        shares[open_places] += gain
        total -= int(gain.sum())
    return shares


def choose_pairs(
    starts: Codes, method: Codes, limit: int, may_ask: MayAsk, rng: np.random.Generator
) -> Codes:
    """Choose pairs of images of one original.

    Args:
        starts: the images of original r are `starts[r]` up to `starts[r + 1]`, (R + 1,).
        method: number of each image's method, (N,).
        limit: number of pairs, at most.
        may_ask: which pairs may be chosen.
        rng: source of randomness.

    Returns:
        numbers of the two images of each pair, (K, 2). All methods are linked by chains of pairs,
        if any pairs that may be chosen link them.

    Raises:
        UsageError: `limit` is too small to link all methods.
    """
    sizes = np.diff(starts).astype(object)  # whole numbers of any size
    needed = min(len(np.unique(method)) - 1, int((sizes * (sizes - 1) // 2).sum()))
    if needed > limit:
        raise UsageError(
            f"max_questions is {limit}: linking the {len(np.unique(method))} methods needs {needed}"
        )
    links = link_methods(starts, method, may_ask, rng)
    size = len(method)
    linked = np.sort(links.min(1, initial=size) * size + links.max(1, initial=0))

    def is_new(first: Codes, second: Codes) -> NDArray[np.bool_]:
        codes = np.minimum(first, second) * size + np.maximum(first, second)
        return may_ask(first, second) & ~np.isin(codes, linked)

    counts = np.bincount(method[links.reshape(-1)], minlength=int(method.max(initial=0)) + 1)
    chosen, remaining = [links], limit - len(links)
    originals = rng.permutation(np.flatnonzero(np.diff(starts) > 1)).tolist()
    pools: dict[int, _Pool] = {}
    while remaining > 0 and originals:
        wanted = share_out(remaining, np.full(len(originals), remaining)).tolist()
        shares = dict(zip(originals, wanted, strict=True))
        for original in (o for o in originals if shares[o]):
            if original not in pools:
                images = np.arange(starts[original], starts[original + 1])
                order = np.lexsort((rng.random(len(images)), counts[method[images]]))
                pools[original] = _Pool(_walk(images[order], is_new, rng), method, counts)
            pairs = pools[original].take(shares[original])
            chosen.append(pairs)
            remaining -= len(pairs)
            shares[original] -= len(pairs)
        # Those that have no more pairs got fewer than their share.
        originals = [original for original in originals if shares[original] == 0]
    return np.concatenate(chosen)


class _Pool:
    """Pairs of the images of one original, each pair once.

    Args:
        pairs: arrays of pairs, (K, 2) each.
        method: number of each image's method, (N,).
        counts: how often each method was chosen, (M,); changed by `take`.
    """

    def __init__(self, pairs: Iterator[Codes], method: Codes, counts: Codes) -> None:
        self._pairs, self._method, self._counts = pairs, method, counts
        self._pool = np.empty((0, 2), np.int64)

    def take(self, number: int) -> Codes:
        """Return pairs of methods that were chosen least, (K, 2); K < `number` if all are taken."""
        parts, missing = [self._pool], _CHOICE * number - len(self._pool)
        while missing > 0 and (more := next(self._pairs, None)) is not None:
            parts.append(more)
            missing -= len(more)
        self._pool = np.concatenate(parts)
        number = min(number, len(self._pool))
        at_once = max(1, number // _STEPS)
        taken = [self._pool[:0]]
        while number > 0:
            taken.append(self._take_least(min(at_once, number)))
            number -= len(taken[-1])
        return np.concatenate(taken)

    def _take_least(self, number: int) -> Codes:
        """Take the `number` pairs whose methods were chosen least, (number, 2)."""
        frequency = self._counts[self._method[self._pool]].sum(1)
        least = np.argsort(frequency, kind="stable")[:number]
        pairs = self._pool[least]
        self._pool = np.delete(self._pool, least, axis=0)
        np.add.at(self._counts, self._method[pairs.reshape(-1)], 1)
        return pairs


def _walk(
    ring: Codes, may_ask: MayAsk, rng: np.random.Generator, most: int | None = None
) -> Iterator[Codes]:
    """Yield the pairs that may be asked, distance by distance on the ring, (K, 2) each.

    Args:
        ring: numbers of images.
        may_ask: which pairs may be chosen.
        rng: source of randomness, for the order of the distances.
        most: number of distances, at most.
    """
    size, tried = len(ring), 0
    for distance in [1, *(rng.permutation(max(size // 2 - 1, 0)) + 2).tolist()][:most]:
        # Halfway around the ring, the second half would repeat the pairs of the first.
        first = ring[: size // 2] if 2 * distance == size else ring
        second = np.roll(ring, -distance)[: len(first)]
        allowed = may_ask(first, second)
        tried += len(first)
        if allowed.any():
            yield np.stack([first[allowed], second[allowed]], 1)
            tried = 0
        elif tried > _MOST_TRIED:
            return


def link_methods(starts: Codes, method: Codes, may_ask: MayAsk, rng: np.random.Generator) -> Codes:
    """Choose as few pairs as possible that link all methods by chains.

    Some pairs of all originals are tried; if they are not enough, all pairs of some originals.
    Arguments are those of `choose_pairs`.

    Returns:
        the pairs, (K, 2): one less than there are methods, if pairs can link all of them.
    """
    root = np.arange(int(method.max(initial=0)) + 1)
    number_apart = len(np.unique(method)) - 1
    links: list[tuple[int, int]] = []
    references = rng.permutation(np.flatnonzero(np.diff(starts) > 1)).tolist()
    rounds: list[tuple[int, int | None]] = [(r, _LINK_DISTANCES) for r in references]
    rounds += [(r, None) for r in references[:_LINK_REFERENCES]]
    for reference, most in rounds:
        if len(links) == number_apart:
            break
        images = np.arange(starts[reference], starts[reference + 1])
        for pairs in _walk(rng.permutation(images), may_ask, rng, most):
            apart = pairs[root[method[pairs[:, 0]]] != root[method[pairs[:, 1]]]]
            for first, second in apart.tolist():
                one, other = root[method[first]], root[method[second]]
                if one != other:
                    root[root == other] = one
                    links.append((first, second))
            if (root[method[images]] == root[method[images[0]]]).all():
                break
    return np.array(links, np.int64).reshape(-1, 2)
