"""What a rater is asked next: practice first, then questions with checks of the rater among them.

How many checks there are, and where, is drawn when a rater begins: exactly the share that was asked
for, at random places, never two in a row. What is random here follows from the study's seed and the
rater's id, so that a restart changes nothing; ids are random, so that no rater can guess it. Which
ordinary question comes next is for an `Order` to choose.
"""

import hashlib
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roi_ray.votes.asking.orders import Order
from roi_ray.votes.options import VoteOptions
from roi_ray.votes.questions.table import Questions
from roi_ray.votes.records import Ask, Kind, Side

MIN_AGE = 5
"""Asks between a question and its repetition, or more: so that a rater does not just remember."""


@dataclass(frozen=True)
class Proposal:
    """What a rater is to be asked next.

    Attributes:
        question: row of the question, see `Questions`.
        kind: why it is asked.
        first: the candidate that the page calls 1.
    """

    question: int
    kind: Kind
    first: Side


def plan_next(
    asks: Sequence[Ask],
    unanswered: Collection[str],
    questions: Questions,
    is_open: NDArray[np.bool_],
    order: Order,
    options: VoteOptions,
    pending: NDArray[np.int64],
    *,
    rater: str,
) -> Proposal | None:
    """Decide what a rater is asked next.

    Where no gold question, or nothing to repeat, is left, an ordinary question takes the place of a
    check.

    Args:
        asks: all that the rater was asked, in order.
        unanswered: ids of those that the rater has not answered yet.
        questions: N questions.
        is_open: whether each of them may be asked, (N,).
        order: which ordinary question comes next.
        options: how many questions there are, and the shares of checks.
        pending: how many raters have each question before them now, (N,).
        rater: the rater's id.

    Returns:
        what to ask; None if the rater was asked all, or no question is left.
    """
    random = _make_random(options.seed, rater, len(asks))
    first: Side = "a" if random.random() < 0.5 else "b"
    allowed = is_open.copy()
    allowed[[questions.find(ask.question) for ask in asks]] = False
    golds = questions.is_gold & is_open
    practised = sum(ask.kind == "training" for ask in asks)
    place = len(asks) - practised
    if not place and practised < count_practice(golds, options):
        question = _choose_any(allowed & golds, random)
        if question is not None:
            return Proposal(question, "training", first)
    if place >= options.questions_per_rater:
        return None
    kind = plan_kinds(options, _make_random(options.seed, rater, -1))[place]
    if kind == "gold":
        question = _choose_any(allowed & golds, random)
    elif kind == "repeat":
        question = _choose_repeat(asks, unanswered, questions, is_open, random)
    else:
        question = None
    if question is None:
        kind, question = "question", order.choose(allowed & ~questions.is_gold, pending)
    return None if question is None else Proposal(question, kind, first)


def count_asks(
    asks: Sequence[Ask],
    questions: Questions,
    is_open: NDArray[np.bool_],
    options: VoteOptions,
    *,
    rater: str,
) -> int:
    """Count what a rater is asked in all, with what was asked already.

    Arguments are those of `plan_next`.
    """
    left = is_open.copy()
    left[[questions.find(ask.question) for ask in asks]] = False
    golds = int(np.count_nonzero(left & questions.is_gold))
    ordinary = int(np.count_nonzero(left)) - golds
    place = sum(ask.kind != "training" for ask in asks)
    number = len(asks)
    if not place:
        practice = count_practice(questions.is_gold & is_open, options)
        more = min(golds, max(0, practice - number))
        golds, number = golds - more, number + more
    for kind in plan_kinds(options, _make_random(options.seed, rater, -1))[place:]:
        if kind == "gold" and golds:
            golds -= 1
        elif kind != "repeat" and ordinary:
            ordinary -= 1
        elif kind != "repeat":
            break
        number += 1
    return number


def count_practice(golds: NDArray[np.bool_], options: VoteOptions) -> int:
    """Count the questions that a rater practises on: gold ones, at most half of them.

    The others are left to check the rater.

    Args:
        golds: whether each question is gold and may be asked, (N,).
        options: `training` is the most questions.

    Examples:
        >>> count_practice(np.array([True, False, True, True]), VoteOptions(training=3))
        1
    """
    return min(options.training, int(np.count_nonzero(golds)) // 2)


def plan_kinds(options: VoteOptions, random: np.random.Generator) -> list[Kind]:
    """Draw why each question after the practice is asked.

    Args:
        options: number of questions, and the shares of checks.
        random: source of chance.

    Returns:
        `question`, `gold` or `repeat` for each. The shares are exact: where 2.5 are asked for,
        there are 2 or 3. No two checks are neighbours. The first `MIN_AGE` are no repeats, so that
        there are fewer if these are half of all questions.

    Examples:
        >>> options = VoteOptions(questions_per_rater=40, gold=0.1, repeats=0.05)
        >>> kinds = plan_kinds(options, np.random.default_rng(0))
        >>> kinds.count("gold"), kinds.count("repeat"), kinds.count("question")
        (4, 2, 34)
    """
    count = options.questions_per_rater
    golds = _round_randomly(options.gold * count, random)
    repeats = _round_randomly(options.repeats * count, random)
    checks = min(golds + repeats, (count + 1) // 2)
    # Places without neighbours: those of fewer questions, each moved by the checks before it.
    places = np.sort(random.choice(count - checks + 1, checks, replace=False)) + np.arange(checks)
    mixed = random.permutation(places).tolist()
    repeated = [place for place in mixed if place >= MIN_AGE][: checks - min(golds, checks)]
    others = [place for place in mixed if place not in repeated][:golds]
    kinds: list[Kind] = ["question"] * count
    for place in repeated:
        kinds[place] = "repeat"
    for place in others:
        kinds[place] = "gold"
    return kinds


def _choose_repeat(
    asks: Sequence[Ask],
    unanswered: Collection[str],
    questions: Questions,
    is_open: NDArray[np.bool_],
    random: np.random.Generator,
) -> int | None:
    """Choose a question that the rater has answered, long enough ago, and that was not repeated."""
    again = {ask.question for ask in asks if ask.kind == "repeat"}
    old = asks[: max(0, len(asks) - MIN_AGE + 1)]
    rows = [
        questions.find(ask.question)
        for ask in old
        if ask.kind == "question" and ask.id not in unanswered and ask.question not in again
    ]
    rows = [row for row in rows if is_open[row]]
    return int(random.choice(rows)) if rows else None


def _choose_any(allowed: NDArray[np.bool_], random: np.random.Generator) -> int | None:
    rows = np.flatnonzero(allowed)
    return int(random.choice(rows)) if rows.size else None


def _round_randomly(value: float, random: np.random.Generator) -> int:
    """Round up or down such that the mean is right."""
    return math.floor(round(value, 9) + random.random())


def _make_random(seed: int, rater: str, number: int) -> np.random.Generator:
    """Make the source of chance for a rater's ask with a number, or of the plan (-1)."""
    digest = hashlib.sha256(f"{seed} {number} {rater}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "big"))
