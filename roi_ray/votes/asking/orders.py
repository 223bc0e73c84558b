"""In which order the questions of a study are asked."""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from roi_ray.votes.options import VoteOptions
from roi_ray.votes.questions.table import Questions
from roi_ray.votes.records import Answer


class Order(Protocol):
    """Chooses the next question among those that a rater may be asked.

    It learns from the answers that count: to ordinary questions, and not hasty. A long fit is done
    elsewhere: `next_fit` returns the work, and `take_fit` takes its result.
    """

    def add(self, answers: Sequence[Answer]) -> None:
        """Learn from answers, each given once."""

    def choose(self, allowed: NDArray[np.bool_], pending: NDArray[np.int64]) -> int | None:
        """Choose the next question.

        Args:
            allowed: whether each question may be asked, (N,).
            pending: how many raters have each question before them now, (N,).

        Returns:
            row of the question; None if none may be asked.
        """

    def next_fit(self) -> Callable[[], object] | None:
        """Return work for another process, which pickle can carry; None if there is none now."""

    def take_fit(self, result: object) -> None:
        """Take what the work of `next_fit` returned; None if the work failed."""


def make_order(questions: Questions, options: VoteOptions) -> Order:
    """Make the order of a study.

    Args:
        questions: the questions.
        options: `active` says what the next question shall teach about; `seed` is of all chance.

    Raises:
        ManifestError: the questions lack what an active order needs: names of methods, or features.
        UsageError: the preference model cannot choose questions.
        WeightsError: the preference model cannot be read.
    """
    if options.active is None:
        return RandomOrder(questions, options.seed)
    from roi_ray.votes.asking.active_order import ActiveOrder
    from roi_ray.votes.asking.subjects import rank_names, train_model

    if options.active == "ranking":
        subject = rank_names(questions.table, options.by)
    else:
        subject = train_model(questions.table, options.model)
    return ActiveOrder(questions, subject, options.seed)


class RandomOrder:
    """The questions with the fewest answers first, at random among them.

    A question that a rater has not answered yet counts as answered.

    Args:
        questions: the questions.
        seed: seed of the chance.
    """

    def __init__(self, questions: Questions, seed: int = 0) -> None:
        self._questions = questions
        self._random = np.random.default_rng(seed)
        self._answers = np.zeros(len(questions), np.int64)

    def add(self, answers: Sequence[Answer]) -> None:
        """Count the answers."""
        rows = [self._questions.find(answer.ask.question) for answer in drop_uncounted(answers)]
        np.add.at(self._answers, rows, 1)

    def choose(self, allowed: NDArray[np.bool_], pending: NDArray[np.int64]) -> int | None:
        """Choose the next question; see `Order.choose`."""
        return choose_rarest(np.flatnonzero(allowed), self._answers + pending, self._random)

    def next_fit(self) -> None:
        """Return None: there is nothing to fit."""

    def take_fit(self, result: object) -> None:
        """Do nothing."""


def drop_uncounted(answers: Sequence[Answer]) -> list[Answer]:
    """Drop answers to control questions, and hasty ones."""
    return [answer for answer in answers if answer.ask.kind == "question" and not answer.problem]


def choose_rarest(
    rows: NDArray[np.intp], count: NDArray[np.int64], random: np.random.Generator
) -> int | None:
    """Choose one of the questions that were asked least often.

    Args:
        rows: questions to choose from, (M,).
        count: how often each question was asked, (N,).
        random: source of chance.

    Returns:
        the question; None if there are none.

    Examples:
        >>> random = np.random.default_rng(0)
        >>> choose_rarest(np.array([0, 1, 2]), np.array([3, 1, 2, 0]), random)
        1
    """
    if not rows.size:
        return None
    asked = count[rows]
    return int(random.choice(rows[asked == asked.min()]))
