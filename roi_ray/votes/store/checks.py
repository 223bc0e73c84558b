"""Check the values of a vote before they are stored."""

import re
from dataclasses import replace
from typing import get_args

from roi_ray.votes.records import Choice, Screen, Vote
from roi_ray.votes.store.refusals import VoteRefused
from roi_ray.web.names import clean_name

MAX_COUNT = 2**31 - 1
"""Most flips, and widest and highest screen: what a column of 32 bits can hold."""

MAX_MILLISECONDS = 2**53 - 1
"""The largest whole number that every browser can count to."""

MAX_PIXEL_RATIO = 1000.0

_SHA256 = re.compile(r"[0-9a-f]{64}")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def check_vote(vote: Vote) -> Vote:
    r"""Check a vote, and return it as it is stored.

    The id becomes lower case. What the browser calls itself is made one line of some 200
    characters: it is no reason to refuse a vote.

    Raises:
        VoteRefused: `InvalidRequest`: a value is of a wrong type or out of range.

    Examples:
        >>> screen = Screen(390, 844, 3.0, "Firefox\n\x00")
        >>> vote = Vote("0FA85F64-5717-4562-B3FC-2C963F66AFA6", "ask", "none", 4, 5000, screen)
        >>> check_vote(vote).id, check_vote(vote).screen.browser
        ('0fa85f64-5717-4562-b3fc-2c963f66afa6', 'Firefox\\n\\x00')
    """
    if not isinstance(vote.id, str) or not _UUID.fullmatch(vote.id):
        _refuse("id", "a UUID")
    if not isinstance(vote.ask, str):
        _refuse("ask", "text")
    if vote.choice not in get_args(Choice):
        _refuse("choice", "1, 2 or none")
    _check_count("flips", vote.flips, MAX_COUNT)
    _check_count("milliseconds", vote.milliseconds, MAX_MILLISECONDS)
    return replace(vote, id=vote.id.lower(), screen=_check_screen(vote.screen))


def check_consent(sha256: str) -> str:
    """Return the hash of a text of consent, if it is one: 64 hexadecimal digits.

    Raises:
        ValueError: it is not. Nothing else may be stored in its place, such as a name.
    """
    if not _SHA256.fullmatch(sha256):
        raise ValueError("consent_sha256 is not a SHA-256 in hexadecimal")
    return sha256


def _check_screen(screen: Screen) -> Screen:
    _check_count("width of the screen", screen.width, MAX_COUNT)
    _check_count("height of the screen", screen.height, MAX_COUNT)
    ratio = screen.pixel_ratio
    if type(ratio) not in (int, float) or not 0 < ratio <= MAX_PIXEL_RATIO:  # NaN is not either
        _refuse("pixel ratio", f"a number above 0, at most {MAX_PIXEL_RATIO:g}")
    if not isinstance(screen.browser, str):
        _refuse("browser", "text")
    return replace(screen, pixel_ratio=float(ratio), browser=clean_name(screen.browser))


def _check_count(name: str, value: object, most: int) -> None:
    if type(value) is not int or not 0 <= value <= most:  # True is an int, but not a count
        _refuse(name, f"a whole number from 0 to {most}")


def _refuse(name: str, expected: str) -> None:
    raise VoteRefused("InvalidRequest", f"the {name} of the vote must be {expected}")
