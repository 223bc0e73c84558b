"""Stores, raters and votes for tests."""

import uuid

from roi_ray.votes.records import Choice, Screen, Vote
from roi_ray.votes.store.store import Store

CONSENT = "ab" * 32
SCREEN = Screen(1920, 1080, 1.25, "Firefox")


def add_rater(store: Store) -> str:
    """Let a rater join by an own invitation; return the rater's id."""
    session = store.join(*store.add_invitations(1, 1), CONSENT)
    rater = store.find_rater(session)
    assert rater is not None
    return rater


def make_vote(ask: str, choice: Choice = "1", **values) -> Vote:
    """Make a vote that is not hasty, with a new id."""
    values = {"id": str(uuid.uuid4()), "flips": 4, "milliseconds": 5000, "screen": SCREEN} | values
    return Vote(ask=ask, choice=choice, **values)
