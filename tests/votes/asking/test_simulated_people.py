from collections import Counter

import numpy as np
import pyarrow as pa
import pytest

from roi_ray.votes.asking.orders import RandomOrder
from roi_ray.votes.asking.simulated_people import ask_people, gather_people
from tests.votes.asking.studies import make_votes


def ask_all(people, votes=10_000, at_once=10, seed=0):
    order = RandomOrder(people.questions, seed)
    return list(ask_people(people, order, votes, at_once, np.random.default_rng(seed)))


def test_every_recorded_answer_is_given_once():
    table = make_votes([0, 1, 2], ties=0.2)
    people = gather_people(table)
    votes = ask_all(people)
    assert len(votes) == people.answers == len(table)
    recorded = [(row, p_a) for row, given in enumerate(people.p_a) for p_a in given]
    assert Counter(votes) == Counter(recorded)
    assert votes != ask_all(people, seed=1)


def test_the_two_directions_of_a_question_are_one_question():
    table = make_votes([0, 1, 2])
    people = gather_people(table)
    assert len(people.questions) == 3 * 8
    names = people.questions.table.select(["method_a", "method_b"]).to_pylist()
    wins = Counter()
    for row, given in enumerate(people.p_a):
        wins[names[row]["method_a"]] += sum(given)
        wins[names[row]["method_b"]] += sum(1 - p_a for p_a in given)
    expected = Counter()
    for row in table.to_pylist():
        expected[row["method_a"]] += row["p_a"]
        expected[row["method_b"]] += 1 - row["p_a"]
    assert wins == expected


def test_votes_stop_at_the_number_that_was_asked_for():
    assert len(ask_all(gather_people(make_votes([0, 1, 2])), votes=50)) == 50


@pytest.mark.parametrize(
    ("p_a", "votes", "given"),
    [
        (1.0, 3, (1, 1, 1)),
        (0.75, 10, (1,) * 7 + (0.5,) + (0, 0)),
        (0.5, 1, (0.5,)),
        (0.3, 1, (0.3,)),
    ],
)
def test_several_answers_are_taken_apart(p_a, votes, given):
    row = {"reference": ["o"], "a": ["x"], "b": ["y"], "group": ["o"], "p_a": [p_a]}
    people = gather_people(pa.table({**row, "votes": [votes]}))
    assert people.p_a == (pytest.approx(given),)
