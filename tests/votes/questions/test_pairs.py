import numpy as np
import pytest

from roi_ray.votes.questions.pairs import choose_pairs, link_methods, share_out


def all_pairs(first, second):
    return np.ones(len(first), np.bool_)


def as_set(pairs) -> set[tuple[int, int]]:
    return {(min(pair), max(pair)) for pair in pairs.tolist()}


@pytest.mark.parametrize(
    ("total", "capacities", "shares"),
    [
        (0, [3, 3], [0, 0]),
        (7, [3, 3], [3, 3]),
        (5, [1, 9, 9], [1, 2, 2]),
        (6, [0, 9, 9, 9], [0, 2, 2, 2]),
        (5, [], []),
    ],
)
def test_share_out_fills_places_evenly(total, capacities, shares) -> None:
    assert share_out(total, np.array(capacities, np.int64)).tolist() == shares


@pytest.mark.parametrize("size", [2, 3, 4, 7, 8])
def test_enough_questions_are_all_pairs_once(rng, size) -> None:
    starts = np.array([0, size, size + 1, 2 * size + 1])  # an original with one image between
    method = np.concatenate([np.arange(size), [0], np.arange(size)])
    pairs = choose_pairs(starts, method, 1000, all_pairs, rng)
    triangle = {(i, j) for i in range(size) for j in range(i + 1, size)}
    assert len(pairs) == size * (size - 1)
    assert as_set(pairs) == triangle | {(i + size + 1, j + size + 1) for i, j in triangle}


def test_pairs_that_may_not_be_asked_make_room_for_others(rng) -> None:
    starts, method = np.arange(0, 101, 10), np.tile(np.arange(10), 10)

    def may_ask(first, second):
        return (first >= 20) & ((first + second) % 3 > 0)

    pairs = choose_pairs(starts, method, 60, may_ask, rng)
    assert len(as_set(pairs)) == len(pairs) == 60
    assert may_ask(*pairs.T).all()


def test_methods_that_few_pairs_link_are_linked(rng) -> None:
    # Only the last original has methods 0..4 and 5..9, and few of its pairs may be asked.
    starts = np.array([0, 5, 10, 20])
    method = np.concatenate([np.arange(5), np.arange(5, 10), np.arange(10)])

    def may_ask(first, second):
        crosses = (method[first] < 5) != (method[second] < 5)
        return ~crosses | (np.minimum(first, second) + 5 == np.maximum(first, second))

    for seed in range(10):
        links = link_methods(starts, method, may_ask, np.random.default_rng(seed))
        assert len(links) == 9
        assert may_ask(*links.T).all()


def test_nothing_to_choose_from_gives_no_pairs(rng) -> None:
    starts, method = np.array([0, 1, 2]), np.array([0, 1])
    assert choose_pairs(starts, method, 10, all_pairs, rng).shape == (0, 2)
    assert choose_pairs(np.array([0, 2]), method, 10, lambda i, _: i < 0, rng).shape == (0, 2)
