"""The question whose answer is expected to tell most comes next."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from roi_ray.votes.asking.beliefs import Belief, Floats
from roi_ray.votes.asking.information import expect_information
from roi_ray.votes.asking.orders import choose_rarest, drop_uncounted
from roi_ray.votes.asking.posterior import fit_posterior
from roi_ray.votes.asking.subjects import Subject
from roi_ray.votes.questions.table import Questions
from roi_ray.votes.records import Answer

_MIN_NEW, _NEW_SHARE = 20, 0.2
"""New votes that make another fit worth its time: at least 20, and a fifth of all."""
_MOST_STEPS = 100
"""More votes at once than these, as when a study goes on, are fitted at once."""
_EQUAL = 1e-9
"""Questions that tell as much, within these nats, are equal."""


class ActiveOrder:
    """The question whose answer is expected to tell most, see `information`.

    Between two fits, each vote changes what is known in one step. Questions that raters have before
    them count as if they were answered, though not how, and no rater gets one of them as long as
    there are others. Many questions tell as much, such as those about two methods and any
    reference: the one with the fewest answers comes first.

    Args:
        questions: the questions.
        subject: what votes are to teach about.
        seed: seed of the choice among equal questions.
    """

    def __init__(self, questions: Questions, subject: Subject, seed: int = 0) -> None:
        self._questions, self._subject = questions, subject
        self._random = np.random.default_rng(seed)
        self._asked = np.zeros(len(questions), np.int64)
        self._belief = subject.prior
        self._wins, self._votes = np.zeros((2, len(subject.x)))  # about each lead
        self._late: list[tuple[int, float]] = []  # votes that the fit under way lacks
        self._fitted = 0  # votes in the last fit
        self._fitting: int | None = None  # votes in the fit that is under way

    def add(self, answers: Sequence[Answer]) -> None:
        """Learn from answers; see `Order.add`."""
        counted = drop_uncounted(answers)
        rows = np.array([self._questions.find(each.ask.question) for each in counted], np.intp)
        np.add.at(self._asked, rows, 1)
        lead_rows = self._subject.lead_rows[rows].tolist()
        new = [(row, each.p_a) for row, each in zip(lead_rows, counted, strict=True) if row >= 0]
        for row, p_a in new:
            self._wins[row] += p_a
            self._votes[row] += 1
        if len(new) > _MOST_STEPS and (work := self.next_fit()) is not None:
            self.take_fit(work() or self._step(self._belief, new))
            return
        self._belief = self._step(self._belief, new)
        if self._fitting is not None:
            self._late += new

    def choose(self, allowed: NDArray[np.bool_], pending: NDArray[np.int64]) -> int | None:
        """Choose the next question; see `Order.choose`.

        Questions that tell nothing, because they lack names or features, are never chosen.
        """
        lead_rows = self._subject.lead_rows
        rows = np.flatnonzero(allowed & (lead_rows >= 0))
        if not rows.size:
            return None
        rows = rows[pending[rows] == pending[rows].min()]
        leads, place = np.unique(lead_rows[rows], return_inverse=True)
        belief = self._foresee(pending)
        best = rows[self._mark_best(*belief.leads(self._subject.x[leads]))[place]]
        return choose_rarest(best, self._asked + pending, self._random)

    def next_fit(self) -> Callable[[], object] | None:
        """Return the fit of all votes, if enough are new and no fit is under way."""
        votes = int(self._votes.sum())
        enough = max(_MIN_NEW, _NEW_SHARE * self._fitted)
        if self._fitting is not None or votes - self._fitted < enough:
            return None
        self._fitting, self._late = votes, []
        rows = np.flatnonzero(self._votes)
        x, prior = self._subject.x[rows], self._subject.prior
        return partial(fit_posterior, prior, x, self._wins[rows], self._votes[rows])

    def take_fit(self, result: object) -> None:
        """Take the result of a fit; None if it failed, which leaves the steps in its place."""
        votes, self._fitting = self._fitting, None
        if votes is None:
            return
        self._fitted = votes
        if isinstance(result, Belief):
            self._belief = self._step(result, self._late)
        self._late = []

    def _step(self, belief: Belief, votes: Sequence[tuple[int, float]]) -> Belief:
        """Return what is known after a few more votes, each with the row of its lead."""
        for row, p_a in votes:
            belief = belief.after_vote(self._subject.x[row], p_a)
        return belief

    def _foresee(self, pending: NDArray[np.int64]) -> Belief:
        """Return what is expected to be known once raters have answered what they were asked."""
        asked = np.flatnonzero((pending > 0) & (self._subject.lead_rows >= 0))
        if not asked.size:
            return self._belief
        leads, place = np.unique(self._subject.lead_rows[asked], return_inverse=True)
        return self._belief.before_votes(
            self._subject.x[leads], np.bincount(place, pending[asked]).astype(np.float64)
        )

    def _mark_best(self, mean: Floats, variance: Floats) -> NDArray[np.bool_]:
        """Mark the leads, (L,), about which a vote is expected to tell most."""
        information = expect_information(mean, variance)
        return np.asarray(information >= information.max() - _EQUAL)
