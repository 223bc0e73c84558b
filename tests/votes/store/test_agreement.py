"""What the answers of a rater say about the rater."""

import pyarrow as pa
import pytest

from roi_ray.votes.records import Answer, Ask
from roi_ray.votes.store.agreement import RaterSummary, summarize_raters, tabulate_raters
from tests.votes.store.studies import make_vote

QUESTIONS = pa.table({"question": ["q0", "g1", "g0"], "expected_p_a": [None, 1.0, 0.0]})


def answers(*rows, rater="r"):
    """Make answers from question, kind, choice, first and, if not careful, flips."""
    made = []
    for number, (question, kind, choice, first, *flips) in enumerate(rows):
        ask = Ask(f"{rater}{number}", rater, question, kind, first, number)
        vote = make_vote(ask.id, choice, flips=flips[0] if flips else 3, milliseconds=4000 + number)
        made.append(Answer(number + 1, vote, ask, 0.0))
    return made


def summarize(*rows) -> RaterSummary:
    (summary,) = summarize_raters(answers(*rows), QUESTIONS)
    return summary


def test_gold_is_right_by_candidate_and_cannot_decide_is_wrong() -> None:
    summary = summarize(
        ("g1", "gold", "1", "a"),
        ("g1", "gold", "2", "b"),
        ("g0", "gold", "2", "a"),
        ("g0", "gold", "1", "a"),
        ("g0", "gold", "none", "a"),
    )
    assert (summary.gold_right, summary.gold, summary.ties) == (3, 5, 1)


def test_repeats_are_compared_with_the_careful_answer_before() -> None:
    summary = summarize(
        ("q0", "training", "2", "a"),  # the training does not count
        ("q0", "question", "2", "a", 0),  # nor do hasty answers
        ("q0", "repeat", "1", "a"),  # so this is the first answer
        ("q0", "repeat", "2", "b"),  # the same candidate on the other side
        ("q0", "repeat", "2", "b", 0),
        ("q0", "repeat", "none", "b"),
        ("q0", "repeat", "none", "a"),
    )
    assert (summary.repeats_same, summary.repeats) == (2, 3)
    assert (summary.training, summary.answers, summary.hasty, summary.ties) == (1, 6, 2, 2)


def test_position_bias_counts_choices_and_no_ties() -> None:
    rows = [("q0", "question", choice, "b") for choice in ("1", "1", "1", "2", "none")]
    summary = summarize(*rows)
    assert summary.first_chosen == 0.75
    assert summary.median_seconds == pytest.approx(4.002)


def test_a_rater_without_careful_answers_has_no_shares() -> None:
    summary = summarize(("q0", "question", "1", "a", 0), ("q0", "training", "1", "a"))
    assert (summary.first_chosen, summary.median_seconds) == (None, None)
    assert (summary.answers, summary.hasty, summary.training) == (1, 1, 1)


def test_raters_are_apart_and_in_the_order_of_their_first_answers() -> None:
    row = ("q0", "question", "1", "a")
    mixed = [*answers(row, rater="z"), *answers(row, row, rater="a")]
    assert [(each.rater, each.answers) for each in summarize_raters(mixed, QUESTIONS)] == [
        ("z", 1),
        ("a", 2),
    ]


def test_questions_without_known_answers_have_no_gold() -> None:
    (summary,) = summarize_raters(answers(("g1", "gold", "1", "a")), QUESTIONS.select(["question"]))
    assert summary.gold == 0


def test_summaries_become_a_table() -> None:
    summary = summarize(("g1", "gold", "1", "a"))
    table = tabulate_raters([summary])
    assert RaterSummary(**table.to_pylist()[0]) == summary
    assert table.schema.equals(tabulate_raters([]).schema)
