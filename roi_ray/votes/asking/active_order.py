"""The question whose answer is expected to tell most comes next."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from roi_ray.votes.asking.beliefs import Belief, Floats
from roi_ray.votes.asking.information import expect_information
from roi_ray.votes.asking.orders import choose_rarest, drop_uncounted
from roi_ray.votes.asking.subjects import Subject
from roi_ray.votes.questions.table import Questions
from roi_ray.votes.records import Answer

_MIN_NEW, _NEW_SHARE = 20, 0.2
"""New votes that make another fit worth its time: at least 20, and a fifth of all."""
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
        self._leads: list[int] = []
        self._shares: list[float] = []
        self._fitted = 0  # votes in the last fit
        self._fitting: int | None = None  # votes in the fit that is under way

    def add(self, answers: Sequence[Answer]) -> None:
        """Learn from answers; see `Order.add`."""
        for answer in drop_uncounted(answers):
            row = self._questions.find(answer.ask.question)
            self._asked[row] += 1
            lead = int(self._subject.lead[row])
            if lead >= 0:
                self._leads.append(lead)
                self._shares.append(answer.p_a)
                self._belief = self._belief.after_vote(self._subject.x[lead], answer.p_a)

    def choose(self, allowed: NDArray[np.bool_], pending: NDArray[np.int64]) -> int | None:
        """Choose the next question; see `Order.choose`.

        Questions that tell nothing, because they lack names or features, are never chosen.
        """
        lead = self._subject.lead
        rows = np.flatnonzero(allowed & (lead >= 0))
        if not rows.size:
            return None
        rows = rows[pending[rows] == pending[rows].min()]
        belief = self._belief
        for row in np.flatnonzero((pending > 0) & (lead >= 0)):
            for _ in range(int(pending[row])):
                belief = belief.before_vote(self._subject.x[lead[row]])
        leads, place = np.unique(lead[rows], return_inverse=True)
        best = rows[self._mark_best(*belief.leads(self._subject.x[leads]))[place]]
        return choose_rarest(best, self._asked + pending, self._random)

    def next_fit(self) -> Callable[[], object] | None:
        """Return the fit of all votes, if enough are new and no fit is under way."""
        votes = len(self._leads)
        enough = max(_MIN_NEW, _NEW_SHARE * self._fitted)
        if self._fitting is not None or votes - self._fitted < enough:
            return None
        self._fitting = votes
        return partial(self._subject.fit, self._x(0), np.array(self._shares))

    def take_fit(self, result: object) -> None:
        """Take the result of a fit; None if it failed, which leaves the steps in its place."""
        votes, self._fitting = self._fitting, None
        if votes is None:
            return
        self._fitted = votes
        if isinstance(result, Belief):
            for x, share in zip(self._x(votes), self._shares[votes:], strict=True):
                result = result.after_vote(x, share)
            self._belief = result

    def _mark_best(self, mean: Floats, variance: Floats) -> NDArray[np.bool_]:
        """Mark the leads, (L,), about which a vote is expected to tell most."""
        information = expect_information(mean, variance)
        return np.asarray(information >= information.max() - _EQUAL)

    def _x(self, start: int) -> Floats:
        """Collect what the leads of the votes from one on are made of, (V, n)."""
        return self._subject.x[np.array(self._leads[start:], np.intp)]
