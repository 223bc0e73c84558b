"""Records from rows of the database, and back."""

from collections.abc import Sequence
from typing import Any

from roi_ray.votes.records import Answer, Ask, Crop, Screen, Vote

ASK_COLUMNS = (
    "ask.id, ask.rater, ask.question, ask.kind, ask.first, ask.number, "
    "ask.crop_x, ask.crop_y, ask.crop_width, ask.crop_height"
)
VOTE_COLUMNS = (
    "vote.id, vote.ask, vote.choice, vote.flips, vote.milliseconds, "
    "vote.screen_width, vote.screen_height, vote.pixel_ratio, vote.browser"
)
_VOTE_WIDTH = VOTE_COLUMNS.count(",") + 1

Row = Sequence[Any]


def ask_from_row(row: Row) -> Ask:
    """Make an ask from `ASK_COLUMNS`."""
    id, rater, question, kind, first, number, *window = row
    x, y, width, height = window
    crop: Crop | None = None if x is None else (x, y, width, height)
    return Ask(id, rater, question, kind, first, number, crop)


def ask_to_row(ask: Ask) -> Row:
    """Return the values of `ASK_COLUMNS`."""
    crop = ask.crop or (None,) * 4
    return (ask.id, ask.rater, ask.question, ask.kind, ask.first, ask.number, *crop)


def vote_from_row(row: Row) -> Vote:
    """Make a vote from `VOTE_COLUMNS`."""
    id, ask, choice, flips, milliseconds, *screen = row
    return Vote(id, ask, choice, flips, milliseconds, Screen(*screen))


def vote_to_row(vote: Vote) -> Row:
    """Return the values of `VOTE_COLUMNS`."""
    screen = vote.screen
    display = screen.width, screen.height, screen.pixel_ratio, screen.browser
    return (vote.id, vote.ask, vote.choice, vote.flips, vote.milliseconds, *display)


def answer_from_row(row: Row) -> Answer:
    """Make an answer from the vote's number and time, `VOTE_COLUMNS` and `ASK_COLUMNS`."""
    number, answered_at, *values = row
    vote, ask = vote_from_row(values[:_VOTE_WIDTH]), ask_from_row(values[_VOTE_WIDTH:])
    return Answer(number, vote, ask, float(answered_at))


def same_answer(vote: Vote, other: Vote) -> bool:
    """Return whether two votes say the same.

    The screen may differ: a page that sends a vote again may meanwhile be on another screen, or in
    a newer browser.

    Examples:
        >>> first, second = Screen(1920, 1080, 1.0, "A/1"), Screen(390, 844, 3.0, "A/2")
        >>> same_answer(Vote("v", "x", "1", 4, 5000, first), Vote("v", "x", "1", 4, 5000, second))
        True
        >>> same_answer(Vote("v", "x", "1", 4, 5000, first), Vote("v", "x", "2", 4, 5000, first))
        False
    """
    return vote_to_row(vote)[:5] == vote_to_row(other)[:5]
