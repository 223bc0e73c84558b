"""What the voting page sends."""

import json

import pytest

from roi_ray.votes.http.raters.vote_body import MAX_BYTES, read_vote
from roi_ray.web.error_answers import RequestFailed
from tests.votes.http.studies import make_vote

VOTE = make_vote("a1b2")


def refuse(body: bytes) -> tuple[int, str]:
    with pytest.raises(RequestFailed) as error:
        read_vote(body, "Firefox")
    return error.value.answer.code, error.value.answer.text


def test_vote_is_read() -> None:
    vote = read_vote(json.dumps(VOTE).encode(), "x" * 300)
    assert (vote.id, vote.ask, vote.choice) == (VOTE["id"], "a1b2", "1")
    assert (vote.flips, vote.milliseconds, vote.screen.pixel_ratio) == (4, 5200, 1.5)
    assert vote.screen.browser == "x" * 200


def test_browser_is_one_printable_line() -> None:
    vote = read_vote(json.dumps(VOTE).encode(), "a\x1b[31m\x85b")
    assert vote.screen.browser == "a\\x1b[31m\\x85b"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b'"\xed\xa0\x80"',
        b"[" * MAX_BYTES,
        b'{"a":' * 800,
        b'{"flips": NaN}',
        b'{"flips": -Infinity}',
        b'{"id": "1", "id": "1"}',
        b"1" * 4000 + b"e",
        b"id=1&ask=2",
    ],
)
def test_what_is_not_json_is_refused(body) -> None:
    assert refuse(body) == (400, "the body is not a JSON document")


def test_large_body_is_refused() -> None:
    assert refuse(b" " * (MAX_BYTES + 1))[0] == 413


@pytest.mark.parametrize("body", [b"null", b"[]", b'"x"', b"1e999", b"9" * 4000, b"{}"])
def test_json_that_is_no_vote_is_refused(body) -> None:
    assert refuse(body)[0] == 422


@pytest.mark.parametrize(
    ("name", "values"),
    {
        "id": ["x", "", None, 5, VOTE["id"] + "\n", VOTE["id"].upper() + "0", "\ud800"],
        "ask": ["", "a/b", "../a", "a\x00", "a" * 65, "é", 1, None, ["a"]],
        "choice": ["3", 1, "", None, "1\n", "NONE", True],
        "flips": ["4", 4.5, -1, 10**7, 10**400, True, None, [4]],
        "milliseconds": ["5", 0.5, -1, 10**11, False, None],
        "screen": [None, [], "x", {}, {"width": 1, "height": 1}],
        "kind": ["question"],
        "__proto__": [{}],
    }.items(),
)
def test_wrong_value_is_refused(name, values) -> None:
    for value in values:
        status, text = refuse(json.dumps({**VOTE, name: value}).encode())
        assert status == 422, value
        assert text.startswith(name) and text.isprintable()


@pytest.mark.parametrize(
    "screen",
    [
        {"width": -1},
        {"height": 10**6},
        {"width": 1.5},
        {"pixel_ratio": 0},
        {"pixel_ratio": "2"},
        {"pixel_ratio": True},
        {"name": "my screen"},
    ],
)
def test_wrong_screen_is_refused(screen) -> None:
    body = json.dumps({**VOTE, "screen": {**VOTE["screen"], **screen}}).encode()
    assert refuse(body)[0] == 422


def test_number_that_is_infinite_is_refused() -> None:
    body = json.dumps(VOTE).replace("1.5", "1e999").encode()
    assert refuse(body)[0] == 422
