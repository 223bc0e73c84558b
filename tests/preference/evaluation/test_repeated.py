import numpy as np
import pyarrow as pa
import pytest

from roi_ray import schema
from roi_ray.preference.comparisons.examples import Examples
from roi_ray.preference.evaluation.repeated import (
    find_majorities,
    human_ceiling,
    majority_accuracy,
    number_questions,
)


def make(rows):
    """Make a table and examples from rows of reference, a, b, p_a and votes."""
    reference, a, b, p_a, votes = map(list, zip(*rows, strict=True))
    table = pa.table({"reference": reference, "a": a, "b": b})
    group = np.unique(reference, return_inverse=True)[1]
    none = np.zeros((len(rows), 0))
    examples = Examples((), none, none, np.array(p_a, float), np.array(votes, float), group)
    return table, examples


ROWS = [
    ("x", "1.jpg", "2.jpg", 1, 1),
    ("x", "2.jpg", "1.jpg", 0, 1),
    ("x", "1.jpg", "2.jpg", 0, 1),  # two of three prefer 1.jpg
    ("x", "1.jpg", "3.jpg", 1, 1),
    ("x", "1.jpg", "3.jpg", 0, 1),  # a tie
    ("y", "2.jpg", "1.jpg", 0.25, 4),  # three of four prefer 1.jpg
    ("y", "1.jpg", "3.jpg", 1, 1),  # asked once
]


def test_questions_are_numbered_whichever_candidate_comes_first() -> None:
    table, examples = make(ROWS)
    questions = number_questions(table)
    assert questions.number.tolist() == [0, 0, 0, 1, 1, 2, 3]
    assert questions.swapped.tolist() == [False, True, False, False, False, True, False]
    assert questions.turn(examples.p_a).tolist() == [1, 1, 0, 1, 0, 0.75, 1]
    assert questions.are_repeated().tolist() == [True] * 5 + [False] * 2


def test_another_crop_of_the_same_images_is_another_question() -> None:
    table, _ = make(ROWS)
    for number, name in enumerate(schema.CROP):
        table = table.append_column(name, pa.array(np.arange(7) * (number == 0), pa.int32()))
    assert not number_questions(table).are_repeated().any()


def test_majorities_leave_out_ties_and_single_answers() -> None:
    table, examples = make(ROWS)
    majorities = find_majorities(number_questions(table), examples)
    assert majorities.row.tolist() == [0, 5]
    assert majorities.prefers_first.tolist() == [True, True]
    assert majorities.ties == 1


def test_majority_accuracy_is_the_share_of_majorities_that_are_named() -> None:
    table, examples = make(ROWS)
    questions = number_questions(table)
    majorities = find_majorities(questions, examples)
    # The first repeat names the first majority and not the second; the second repeat is undecided
    # about the first and names the second.
    first = np.array([0.9, 0.1, 0.9, 0.5, 0.5, 0.8, 0.5])
    second = np.array([0.5, 0.5, 0.5, 0.5, 0.5, 0.3, 0.5])
    accuracy = majority_accuracy(np.stack([first, second]), majorities, questions, examples)
    assert accuracy.value == pytest.approx((1 + 0 + 0.5 + 1) / 4)
    assert np.isnan([accuracy.low, accuracy.high]).all()  # two references


def test_no_repeated_question_with_a_majority_gives_none() -> None:
    once = make(ROWS[3:4] + ROWS[6:])
    ties = make(ROWS[3:5])
    for table, examples in (once, ties):
        assert find_majorities(number_questions(table), examples) is None


def test_human_ceiling_is_computed_from_repeated_questions() -> None:
    questions = np.array([0, 0, 1, 1, 1, 2])
    ceiling = human_ceiling(questions, np.array([1.0, 1.0, 1.0, 1.0, 0.0, 1.0]))
    # The two answers to question 0 agree; of the three to question 1, a third of the pairs do.
    assert ceiling.questions == 2
    assert ceiling.agreement == pytest.approx((2 * 1 + 3 / 3) / 5)
    assert ceiling.implied_accuracy == pytest.approx((1 + 0.2**0.5) / 2)
    assert human_ceiling(np.array([0, 1]), np.array([1.0, 0.0])) is None
    # Answers by chance agree half of the time; with a majority of 80 %, 0.8^2 + 0.2^2.
    for share in (0.5, 0.8):
        ceiling = human_ceiling(np.array([0, 0]), np.full(2, share))
        assert ceiling.agreement == pytest.approx(share**2 + (1 - share) ** 2)
        assert ceiling.implied_accuracy == pytest.approx(share)
    sure = human_ceiling(np.array([0, 0]), np.array([1.0, 1.0]))
    assert sure.agreement == sure.implied_accuracy == 1
