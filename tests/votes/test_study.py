"""What a study does, without HTTP."""

import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from roi_ray import schema
from roi_ray.votes.options import VoteOptions
from roi_ray.votes.questions.table import Questions
from roi_ray.votes.records import Ask, Screen, Vote
from roi_ray.votes.store.store import Store
from roi_ray.votes.study import Progress, Study
from tests.votes.http.studies import make_questions, write_images

METHODS = schema.METHOD_A, schema.METHOD_B


@pytest.fixture(scope="module")
def questions(photos, tmp_path_factory) -> Questions:
    """Three questions about each photograph; those about the first one are gold."""
    folder = tmp_path_factory.mktemp("images")
    return make_questions(write_images(photos, folder), folder)


@pytest.fixture
def open_study(questions, tmp_path) -> Iterator[Callable[..., Study]]:
    """Open the study in `tmp_path`, as a new process would."""
    with ExitStack() as stack:

        def open_it(**options: object) -> Study:
            store = stack.enter_context(Store(str(tmp_path / "study.sqlite")))
            return Study(questions, store, VoteOptions(**options))

        yield open_it


def add_rater(study: Study) -> str:
    (token,) = study.invite(1, 1)
    return study.find_rater(study.join(token, "0" * 64))


def make_vote(ask: Ask, choice: str = "1") -> Vote:
    return Vote(str(uuid.uuid4()), ask.id, choice, 4, 5000, Screen(390, 844, 3.0, "Firefox"))


def ask_next(study: Study, rater: str) -> Ask | None:
    proposal = study.propose(rater)
    return None if proposal is None else study.ask(rater, proposal, None)


def answer_all(study: Study, rater: str) -> list[Ask]:
    asks = []
    while (ask := ask_next(study, rater)) is not None:
        asks.append(ask)
        study.record(rater, make_vote(ask))
    return asks


def test_a_rater_practises_answers_and_is_done(open_study) -> None:
    study = open_study(training=1, questions_per_rater=5, gold=0.2, repeats=0)
    rater = add_rater(study)
    assert study.progress(rater) == Progress(0, 6)
    asks = answer_all(study, rater)
    assert [ask.kind for ask in asks].count("gold") == 1
    assert asks[0].kind == "training" and len(asks) == 6
    assert len({ask.question for ask in asks}) == 6
    assert study.progress(rater) == Progress(6, 6)
    assert study.answers == 6 and study.propose(rater) is None


def test_only_practice_tells_the_right_choice_and_by_the_side_that_was_shown(open_study) -> None:
    study = open_study(training=1, questions_per_rater=4, gold=0.5, repeats=0)
    firsts = set()
    for _ in range(12):
        rater = add_rater(study)
        for _ in range(5):
            ask = ask_next(study, rater)
            recorded = study.record(rater, make_vote(ask))
            assert recorded.is_new
            if ask.kind == "training":  # b is right in every gold question
                firsts.add(ask.first)
                assert recorded.expected == ("1" if ask.first == "b" else "2")
            else:
                assert recorded.expected is None
    assert firsts == {"a", "b"}


def test_an_unusable_question_is_asked_no_more_and_another_one_is(open_study, questions) -> None:
    study = open_study(training=0, gold=0, repeats=0)
    rater = add_rater(study)
    ask = ask_next(study, rater)
    study.exclude(questions.find(ask.question), "truncated")
    assert study.open_asks(rater) == []
    others = {each.question for each in answer_all(study, rater)}
    assert len(others) == (~questions.is_gold).sum() - 1 and ask.question not in others
    # A new process asks it again: somebody may have mended the file.
    again = open_study(training=0, gold=0, repeats=0)
    assert again.open_asks(rater) == [ask]


def test_a_new_process_goes_on_where_the_last_one_ended(open_study) -> None:
    first = open_study(questions_per_rater=8)
    rater = add_rater(first)
    asks = [ask_next(first, rater) for _ in range(4)]
    for ask in asks[:2]:
        first.record(rater, make_vote(ask))
    second = open_study(questions_per_rater=8)
    assert second.answers == 2 and second.read_answers() == first.read_answers()
    assert second.open_asks(rater) == asks[2:]
    assert second.propose(rater).kind == first.propose(rater).kind


def test_a_vote_that_comes_twice_counts_once(open_study) -> None:
    study = open_study(training=0)
    rater = add_rater(study)
    vote = make_vote(ask_next(study, rater))
    assert study.record(rater, vote).is_new
    assert not study.record(rater, vote).is_new
    assert study.answers == len(study.read_answers()) == 1


def test_raters_at_once_get_different_questions(open_study, questions) -> None:
    study = open_study(training=0, gold=0, repeats=0)
    raters = [add_rater(study) for _ in range(6)]
    asks: list[Ask] = []
    threads = [
        threading.Thread(target=lambda rater=rater: asks.append(ask_next(study, rater)))
        for rater in raters
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({ask.question for ask in asks}) == 6
    gold = set(questions.table.filter(questions.is_gold)[schema.QUESTION].to_pylist())
    assert not gold & {ask.question for ask in asks}


@pytest.mark.parametrize("active", ["ranking", None])
def test_raters_whose_images_are_being_loaded_get_different_questions(open_study, active) -> None:
    study = open_study(training=0, gold=0, repeats=0, active=active)
    raters = [add_rater(study) for _ in range(9)]
    proposals = [study.propose(rater) for rater in raters]
    table = study.questions.table.take([proposal.question for proposal in proposals])
    pairs = Counter(zip(*(table[name].to_pylist() for name in METHODS), strict=True))
    assert len({proposal.question for proposal in proposals}) == 9
    assert active is None or set(pairs.values()) == {3}
    # A rater whose question cannot be shown gets another one; the first one is not in work.
    study.exclude(proposals[0].question, "truncated")
    other = study.propose(raters[0])
    assert other.question not in {proposal.question for proposal in proposals}
    asks = [study.ask(raters[0], other, None)]
    asks += [study.ask(*each, None) for each in zip(raters[1:], proposals[1:], strict=True)]
    assert len({ask.question for ask in asks}) == 9


def test_the_goal_stays_while_a_rater_practises(open_study) -> None:
    study = open_study(training=3, questions_per_rater=5)
    rater = add_rater(study)
    # Half of the three gold questions, rounded down, are for practice.
    for answered in range(7):
        assert study.progress(rater) == Progress(answered, 6)
        if (ask := ask_next(study, rater)) is not None:
            study.record(rater, make_vote(ask))
    assert study.progress(rater) == Progress(6, 6)


def test_the_goal_does_without_practice_that_cannot_be_shown(open_study, questions) -> None:
    study = open_study(training=3, questions_per_rater=5)
    rater = add_rater(study)
    asks = [ask_next(study, rater) for _ in range(4)]
    study.exclude(questions.find(asks[0].question), "truncated")
    assert study.progress(rater) == Progress(0, 5)
    for ask in study.open_asks(rater):
        study.record(rater, make_vote(ask))
    answer_all(study, rater)
    assert study.progress(rater) == Progress(5, 5)


@pytest.mark.parametrize("shares", [(0, 0), (0.1, 0.05), (0.2, 0.3), (0.5, 0)])
@pytest.mark.parametrize("number", [4, 12, 5000])
def test_the_goal_is_what_there_is(open_study, shares, number) -> None:
    gold, repeats = shares
    study = open_study(training=1, questions_per_rater=number, gold=gold, repeats=repeats)
    rater = add_rater(study)
    goal = study.progress(rater).goal
    answered = 0
    while (ask := ask_next(study, rater)) is not None:
        assert study.progress(rater) == Progress(answered, goal)
        study.record(rater, make_vote(ask))
        answered += 1
    assert study.progress(rater) == Progress(answered, goal) == Progress(goal, goal)
    assert goal == number + 1 or number > 4


@pytest.mark.parametrize("active", ["ranking", None])
def test_what_is_learnt_is_fitted_elsewhere(open_study, active) -> None:
    study = open_study(training=0, gold=0, repeats=0, active=active)
    while (work := study.next_fit()) is None and study.answers < 40:
        if not answer_all(study, add_rater(study)):
            break
    if active is None:
        assert work is None
    else:
        study.take_fit(work())
        assert study.next_fit() is None
