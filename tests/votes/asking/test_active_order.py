import pickle

import numpy as np
import pytest

from roi_ray import schema
from roi_ray.errors import ManifestError
from roi_ray.votes.asking.orders import make_order
from roi_ray.votes.options import VoteOptions
from roi_ray.votes.questions.table import Questions
from tests.preference.synthetic import comparisons
from tests.votes.asking.studies import make_answers, make_questions

RANKING = VoteOptions(active="ranking")


def nobody(questions):
    return np.zeros(len(questions), np.int64)


def pair(questions, row):
    names = questions.table.select([schema.METHOD_A, schema.METHOD_B]).slice(row, 1).to_pylist()[0]
    return tuple(names.values())


def answer_all(questions, order, rounds=5, winners=("m00", "m01")):
    """Answer all questions: the first name wins, but nobody can say which of two is better."""
    for number in range(rounds):
        rows = range(len(questions))
        shares = [float(pair(questions, row) != winners or number % 2) for row in rows]
        order.add(make_answers(questions, rows, shares))


def test_the_closest_pair_is_asked_about_at_the_least_asked_reference():
    questions = make_questions()
    order = make_order(questions, RANKING)
    answer_all(questions, order)
    first = order.choose(questions.is_open, nobody(questions))
    assert pair(questions, first) == ("m00", "m01")
    order.add(make_answers(questions, [first], [1]))
    second = order.choose(questions.is_open, nobody(questions))
    assert pair(questions, second) == ("m00", "m01") and second != first


def test_raters_that_come_at_once_get_different_questions():
    questions = make_questions(methods=8)
    order = make_order(questions, RANKING)
    answer_all(questions, order, rounds=2)
    pending = nobody(questions)
    for _ in range(10):
        pending[order.choose(questions.is_open, pending)] += 1
    assert pending.max() == 1
    assert len({pair(questions, row) for row in np.flatnonzero(pending)}) > 3
    assert order.choose(questions.is_open, 1000 * pending) is not None


def test_a_fit_in_another_process_changes_little_and_keeps_later_votes():
    questions = make_questions()
    order = make_order(questions, RANKING)
    assert order.next_fit() is None
    answer_all(questions, order)
    work = pickle.loads(pickle.dumps(order.next_fit()))
    assert order.next_fit() is None  # it is under way
    order.add(make_answers(questions, [0], [1]))
    before = order._belief
    order.take_fit(work())
    after = order._belief
    assert after is not before
    np.testing.assert_allclose(after.mean, before.mean, atol=0.5)
    np.testing.assert_allclose(after.covariance, before.covariance, atol=0.5)


def test_many_answers_at_the_start_are_fitted_at_once():
    questions = make_questions(methods=8)
    order, steps = make_order(questions, RANKING), make_order(questions, RANKING)
    rows = list(range(len(questions))) * 2
    shares = [float(row % 3 > 0) for row in rows]
    order.add(make_answers(questions, rows, shares))
    for row, p_a in zip(rows, shares, strict=True):
        steps.add(make_answers(questions, [row], [p_a]))
    assert order.next_fit() is None
    work = steps.next_fit()
    steps.take_fit(work())
    np.testing.assert_allclose(order._belief.mean, steps._belief.mean)


def test_a_failed_fit_leaves_what_was_known_and_may_be_tried_later():
    questions = make_questions()
    order = make_order(questions, RANKING)
    answer_all(questions, order)
    before = order._belief
    assert order.next_fit() is not None
    order.take_fit(None)
    assert order._belief is before
    assert order.next_fit() is None
    answer_all(questions, order)
    assert order.next_fit() is not None


def test_votes_that_do_not_count_teach_nothing():
    questions = make_questions()
    order = make_order(questions, RANKING)
    before = order._belief
    order.add(make_answers(questions, [0, 1], [1, 0], flips=1))
    order.add(make_answers(questions, [0, 1], [1, 0], kind="repeat"))
    assert order._belief is before


def test_questions_without_two_names_are_never_asked():
    questions = make_questions(methods=3, references=2)
    codecs = [["x", "x", "y", None, "y", "y"], ["x", "y", "x", "x", "y", ""]]
    table = questions.table
    for name, column in zip((schema.CODEC_A, schema.CODEC_B), codecs, strict=True):
        table = table.set_column(table.column_names.index(name), name, [column])
    questions = Questions(table, questions.is_open, questions.allowlist)
    order = make_order(questions, VoteOptions(active="ranking", by="codec"))
    chosen = {order.choose(questions.is_open, nobody(questions)) for _ in range(30)}
    assert chosen == {1, 2}
    assert order.choose(questions.is_open & (np.arange(6) == 0), nobody(questions)) is None


@pytest.mark.parametrize("columns", [[schema.METHOD_A, schema.METHOD_B], [schema.METHOD_B]])
def test_questions_without_names_are_refused(columns):
    questions = make_questions()
    table = questions.table.drop_columns(columns)
    with pytest.raises(ManifestError, match="cannot rank methods"):
        make_order(Questions(table, questions.is_open, questions.allowlist), RANKING)


def test_questions_about_one_codec_are_refused():
    table = make_questions().table
    for name in (schema.CODEC_A, schema.CODEC_B):
        table = table.set_column(table.column_names.index(name), name, [["x"] * len(table)])
    questions = make_questions()
    with pytest.raises(ManifestError, match="two different codecs"):
        make_order(
            Questions(table, questions.is_open, questions.allowlist),
            VoteOptions(active="ranking", by="codec"),
        )


@pytest.mark.parametrize("model", [VoteOptions().model, "none"])
def test_a_model_asks_what_tells_most_about_its_weights(model):
    table = comparisons(references=4, each=20)
    keys = [f"{row}" for row in range(len(table))]
    table = table.append_column(schema.QUESTION, [keys])
    table = table.append_column(schema.GOLD, [[False] * len(table)])
    is_open = np.ones(len(table), bool)
    questions = Questions(table, is_open, make_questions().allowlist)
    order = make_order(questions, VoteOptions(active="model", model=model))
    chosen = []
    for _ in range(30):
        chosen.append(order.choose(is_open, nobody(questions)))
        order.add(make_answers(questions, chosen[-1:], table[schema.P_A].to_numpy()[chosen[-1:]]))
    variance = order._belief.covariance.trace()
    random = make_order(questions, VoteOptions(active="model", model=model))
    random.add(make_answers(questions, range(30), table[schema.P_A].to_numpy()[:30]))
    assert variance < random._belief.covariance.trace()
    work = order.next_fit()
    order.take_fit(work())
    assert order.choose(is_open, nobody(questions)) is not None
