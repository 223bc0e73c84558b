from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from roi_ray import schema
from roi_ray.votes.asking.orders import RandomOrder
from roi_ray.votes.asking.plan import MIN_AGE, plan_kinds, plan_next
from roi_ray.votes.options import VoteOptions
from roi_ray.votes.records import Ask
from tests.votes.asking.studies import make_questions


def ask_all(questions, options, rater="rater", preloaded=1, is_open=None, never=frozenset()):
    """Ask one rater until the plan says that they are done; some asks are always unanswered."""
    order = RandomOrder(questions, options.seed)
    pending = np.zeros(len(questions), np.int64)
    is_open = questions.is_open if is_open is None else is_open
    keys = questions.table[schema.QUESTION].to_pylist()
    asks = []
    while len(asks) < 1000:
        unanswered = {ask.id for ask in asks[max(0, len(asks) - preloaded) :]} | never
        proposal = plan_next(
            asks, unanswered, questions, is_open, order, options, pending, rater=rater
        )
        if proposal is None:
            return asks
        ask = Ask(f"{len(asks)}", rater, keys[proposal.question], proposal.kind, proposal.first, 0)
        asks.append(replace(ask, number=len(asks)))
    pytest.fail("the plan never ends")


def test_practice_comes_first_then_the_stated_shares_of_checks():
    questions = make_questions(methods=8, references=5, gold=20)
    options = VoteOptions(training=3, questions_per_rater=40, gold=0.1, repeats=0.05)
    asks = ask_all(questions, options)
    assert [ask.kind for ask in asks[:3]] == ["training"] * 3
    assert Counter(ask.kind for ask in asks[3:]) == {"question": 34, "gold": 4, "repeat": 2}
    golds = [questions.is_gold[questions.find(ask.question)] for ask in asks]
    assert golds == [ask.kind in ("training", "gold") for ask in asks]


@pytest.mark.parametrize("share", [0.0, 0.05, 0.11, 0.2])
def test_shares_are_exact_on_average(share):
    options = VoteOptions(questions_per_rater=50, gold=share, repeats=share)
    drawn = [plan_kinds(options, np.random.default_rng(seed)) for seed in range(400)]
    for kind in ("gold", "repeat"):
        counts = [kinds.count(kind) for kinds in drawn]
        assert set(counts) <= {round(50 * share - 0.5), round(50 * share), round(50 * share + 0.5)}
        assert np.mean(counts) == pytest.approx(50 * share, abs=0.1)


def test_checks_are_never_neighbours_and_can_be_anywhere():
    options = VoteOptions(questions_per_rater=20, gold=0.3, repeats=0.2)
    drawn = [plan_kinds(options, np.random.default_rng(seed)) for seed in range(300)]
    checks = np.array([[kind != "question" for kind in kinds] for kinds in drawn])
    assert not (checks[:, 1:] & checks[:, :-1]).any()
    assert (checks.sum(1) == 10).all() and checks.any(0).all()


def test_a_repeat_is_an_old_answered_question_and_comes_once():
    options = VoteOptions(questions_per_rater=60, gold=0, repeats=0.15, training=0)
    asks = ask_all(make_questions(methods=8, references=5), options, preloaded=2)
    repeats = [ask for ask in asks if ask.kind == "repeat"]
    assert len(repeats) == 9
    assert len({ask.question for ask in repeats}) == 9
    for ask in repeats:
        earlier = next(each.number for each in asks if each.question == ask.question)
        assert asks[earlier].kind == "question"
        assert ask.number - earlier >= MIN_AGE


def test_a_question_that_is_never_answered_is_not_repeated():
    options = VoteOptions(questions_per_rater=20, gold=0, repeats=0.2, training=0)
    questions, answered = make_questions(methods=8), 2
    never = {f"{number}" for number in range(20) if number != answered}
    repeats = 0
    for rater in "abcdefgh":
        asks = ask_all(questions, options, rater, never=never)
        repeated = {ask.question for ask in asks if ask.kind == "repeat"}
        assert repeated <= {asks[answered].question}
        repeats += len(repeated)
    assert repeats > 3


def test_no_question_comes_twice_except_to_be_repeated():
    options = VoteOptions(questions_per_rater=50, training=3)
    asks = ask_all(make_questions(gold=6), options)
    new = [ask.question for ask in asks if ask.kind != "repeat"]
    assert len(new) == len(set(new))


def test_practice_leaves_gold_questions_for_checks():
    questions = make_questions(gold=2)
    asks = ask_all(questions, VoteOptions(training=3, questions_per_rater=10, gold=0.1))
    kinds = Counter(ask.kind for ask in asks if questions.is_gold[questions.find(ask.question)])
    assert kinds == {"training": 1, "gold": 1}
    asks = ask_all(make_questions(gold=1), VoteOptions(training=3, questions_per_rater=10))
    assert "training" not in {ask.kind for ask in asks}


def test_questions_take_the_place_of_checks_where_there_are_none():
    options = VoteOptions(training=0, questions_per_rater=10, gold=0.5, repeats=0)
    assert {ask.kind for ask in ask_all(make_questions(gold=0), options)} == {"question"}


def test_a_rater_is_done_when_nothing_is_left():
    questions = make_questions(methods=3, references=1)
    asks = ask_all(questions, VoteOptions(training=0, repeats=0, questions_per_rater=10))
    assert len(asks) == 3


def test_closed_questions_are_never_asked():
    questions = make_questions(methods=6, gold=10)
    is_open = np.arange(len(questions)) % 2 == 0
    asks = ask_all(questions, VoteOptions(), is_open=is_open)
    assert all(is_open[questions.find(ask.question)] for ask in asks)


def test_the_plan_follows_from_seed_and_rater_and_its_sides_are_balanced():
    questions = make_questions(methods=8, references=5, gold=10)
    options = VoteOptions()
    first, again, other = (ask_all(questions, options, rater) for rater in ("x", "x", "y"))
    assert first == again
    assert [ask.kind for ask in first] != [ask.kind for ask in other]
    sides = [ask.first for rater in "abcdef" for ask in ask_all(questions, options, rater)]
    assert 0.4 < sides.count("a") / len(sides) < 0.6
