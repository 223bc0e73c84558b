import numpy as np

from roi_ray.votes.asking.orders import RandomOrder, make_order
from roi_ray.votes.options import VoteOptions
from tests.votes.asking.studies import make_answers, make_questions


def test_random_order_asks_every_question_before_any_a_second_time():
    questions = make_questions()
    order = make_order(questions, VoteOptions())
    nobody = np.zeros(len(questions), np.int64)
    chosen = []
    for _ in range(2 * len(questions)):
        chosen.append(order.choose(questions.is_open, nobody))
        order.add(make_answers(questions, [chosen[-1]], [1]))
    half = len(questions)
    assert sorted(chosen[:half]) == sorted(chosen[half:]) == list(range(half))
    assert chosen[:half] != sorted(chosen[:half])
    assert order.next_fit() is None


def test_random_order_does_not_ask_two_raters_the_same_at_once():
    questions = make_questions()
    order = RandomOrder(questions)
    pending = np.zeros(len(questions), np.int64)
    for _ in range(len(questions)):
        pending[order.choose(questions.is_open, pending)] += 1
    assert (pending == 1).all()


def test_only_answers_that_count_are_counted():
    questions = make_questions()
    order = RandomOrder(questions)
    nobody = np.zeros(len(questions), np.int64)
    allowed = np.arange(len(questions)) < 2
    order.add(make_answers(questions, [0], [1]))
    order.add(make_answers(questions, [1, 1], [1, 1], kind="gold"))
    order.add(make_answers(questions, [1, 1], [1, 1], flips=0))
    assert {order.choose(allowed, nobody) for _ in range(20)} == {1}


def test_no_question_is_chosen_if_none_is_allowed():
    questions = make_questions()
    nothing = np.zeros(len(questions), bool)
    assert RandomOrder(questions).choose(nothing, nothing.astype(np.int64)) is None
