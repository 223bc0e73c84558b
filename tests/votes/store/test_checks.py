"""Hostile values of a vote are refused, or stored as data."""

import math
from dataclasses import replace

import pytest

from roi_ray.votes.store.checks import MAX_COUNT, MAX_MILLISECONDS
from roi_ray.votes.store.refusals import VoteRefused
from roi_ray.votes.store.store import Store
from tests.votes.store.studies import SCREEN, add_rater, make_vote

SQL = "'); DROP TABLE vote; --"


@pytest.fixture
def store(tmp_path):
    with Store(str(tmp_path / "study.sqlite")) as store:
        yield store


HUGE = [-1, 2**31, 2**53, 2**63, 2**64, 10**400, -(2**63), True, 4.0, math.nan, "4", None, SQL]


@pytest.mark.parametrize(
    "values",
    [
        *({"flips": value} for value in HUGE),
        *({"milliseconds": value} for value in HUGE if value != 2**31),
        *({"id": value} for value in ("", "x" * 36, SQL, "\ud800", 7, None, f"{{{'0' * 36}}}")),
        *({"choice": value} for value in ("", "3", "a", SQL, "\ud800", 1, None, [])),
        *({"screen": replace(SCREEN, width=value)} for value in HUGE),
        *({"screen": replace(SCREEN, height=value)} for value in HUGE),
        *(
            {"screen": replace(SCREEN, pixel_ratio=value)}
            for value in (math.nan, math.inf, -math.inf, 0, -1.0, 1e9, 10**400, True, "1", None)
        ),
        {"screen": replace(SCREEN, browser=None)},
    ],
    ids=repr,
)
def test_values_that_cannot_be_stored_are_refused(store, values) -> None:
    rater = add_rater(store)
    ask = store.add_ask(rater, "q", "question", "a", None)
    with pytest.raises(VoteRefused) as refused:
        store.add_vote(rater, make_vote(ask.id, **({"choice": "1"} | values)))
    assert refused.value.error_kind == "InvalidRequest"
    assert "DROP" not in str(refused.value) and "\n" not in str(refused.value)
    assert store.list_open(rater) == [ask]


@pytest.mark.parametrize("ask", [None, 7, 10**400, b"x"], ids=repr)
def test_an_ask_that_is_no_text_is_refused(store, ask) -> None:
    with pytest.raises(VoteRefused, match="ask of the vote must be text"):
        store.add_vote(add_rater(store), make_vote(ask))


@pytest.mark.parametrize(
    ("browser", "stored"),
    [
        (SQL, SQL),
        ("", ""),
        ("a\r\nb\0\x1b[31m", "a\\r\\nb\\x00\\x1b[31m"),
        ("\ud800", "\\ud800"),
        ("é🦊", "é🦊"),
        ("x" * 1_000_000, "x" * 200 + "..."),
    ],
)
def test_any_name_of_a_browser_is_stored_as_one_line(store, browser, stored) -> None:
    rater = add_rater(store)
    ask = store.add_ask(rater, "q", "question", "a", None)
    vote = make_vote(ask.id, screen=replace(SCREEN, browser=browser))
    assert store.add_vote(rater, vote) and not store.add_vote(rater, vote)
    (answer,) = store.read_answers()
    assert answer.vote.screen.browser == stored


def test_the_largest_values_are_stored(store) -> None:
    rater = add_rater(store)
    ask = store.add_ask(rater, SQL, "question", "a", None)
    screen = replace(SCREEN, width=MAX_COUNT, height=0, pixel_ratio=1000)
    vote = make_vote(ask.id, flips=MAX_COUNT, milliseconds=MAX_MILLISECONDS, screen=screen)
    assert store.add_vote(rater, vote)
    (answer,) = store.read_answers()
    assert answer.vote == vote and answer.ask.question == SQL
