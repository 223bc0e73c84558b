"""A study: people are asked questions, one after the other, and their answers are kept."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roi_ray import schema
from roi_ray.runtime.logs import LOGGER, escape_line
from roi_ray.votes.asking.orders import make_order
from roi_ray.votes.asking.plan import Proposal, count_asks, plan_next
from roi_ray.votes.options import VoteOptions
from roi_ray.votes.questions.table import Questions
from roi_ray.votes.records import Answer, Ask, Choice, Crop, Vote
from roi_ray.votes.store.store import Store


@dataclass(frozen=True)
class Recorded:
    """What became of a vote.

    Attributes:
        is_new: whether it was stored now; False if it was stored before.
        expected: the right choice, if the question was asked to practise and has one.
    """

    is_new: bool
    expected: Choice | None


@dataclass(frozen=True)
class Progress:
    """How far a rater has come.

    Attributes:
        answered: questions that the rater has answered, with those to practise.
        goal: questions that the rater is asked, likewise: fewer than the options say where there
            are not so many.
    """

    answered: int
    goal: int


PENDING_SECONDS = 600.0
"""How long a question that was asked, and is not answered, counts as being answered now."""


class Study:
    """What a study does, without HTTP. Any thread may call it; calls wait for each other.

    Args:
        questions: what may be asked.
        store: invitations, raters, and what they were asked and answered.
        options: what people are asked, and how often.

    Attributes:
        questions: see above.
        options: see above.
        problems: why questions cannot be asked, by their number: their images cannot be shown.
    """

    def __init__(self, questions: Questions, store: Store, options: VoteOptions) -> None:
        self.questions, self.options = questions, options
        self.problems: dict[int, str] = {}
        self._store = store
        self._lock = threading.RLock()
        self._order = make_order(questions, options)
        self._answers: list[Answer] = []
        self._proposed: dict[str, tuple[int, float]] = {}
        self._take_answers()

    @property
    def answers(self) -> int:
        """Number of votes that are stored."""
        return len(self._answers)

    def join(self, token: str, consent_sha256: str) -> str | None:
        """Let a new rater in; see `Store.join`."""
        with self._lock:
            return self._store.join(token, consent_sha256)

    def admits(self, token: str) -> bool:
        """Return whether an invitation has a place left."""
        with self._lock:
            return self._store.admits(token)

    def invite(self, number: int, raters: int) -> list[str]:
        """Make invitations; see `Store.add_invitations`."""
        with self._lock:
            return self._store.add_invitations(number, raters)

    def count_places(self) -> int:
        """Return how many raters can still join."""
        with self._lock:
            return self._store.count_places()

    def find_rater(self, session: str) -> str | None:
        """Find the rater of a session; see `Store.find_rater`."""
        with self._lock:
            return self._store.find_rater(session)

    def open_asks(self, rater: str) -> list[Ask]:
        """List what a rater was asked and has not answered, oldest first.

        Questions that cannot be asked any more are left out.
        """
        with self._lock:
            return self._list_asks(rater)[1]

    def find_ask(self, rater: str, ask: str) -> Ask | None:
        """Find what a rater was asked by its id; None if this rater was not asked it."""
        with self._lock:
            return self._store.find_ask(rater, ask)

    def propose(self, rater: str) -> Proposal | None:
        """Decide what a rater is asked next; None if the rater is done, or nothing is left.

        Until the rater is asked it, or something else is proposed, it counts as a question that is
        being answered, so that raters who come at once get different ones.
        """
        with self._lock:
            asks, unanswered = self._list_asks(rater)
            self._proposed.pop(rater, None)
            proposal = plan_next(
                asks,
                {ask.id for ask in unanswered},
                self.questions,
                self._mark_open(),
                self._order,
                self.options,
                self._count_pending(),
                rater=rater,
            )
            if proposal is not None and proposal.kind == "question":
                self._proposed[rater] = proposal.question, time.monotonic()
            return proposal

    def ask(self, rater: str, proposal: Proposal, crop: Crop | None) -> Ask:
        """Ask a rater what was proposed.

        Args:
            rater: the rater.
            proposal: see `propose`.
            crop: the part of the images that is shown; None for whole images.
        """
        with self._lock:
            key = self.questions.table[schema.QUESTION][proposal.question].as_py()
            self._proposed.pop(rater, None)
            return self._store.add_ask(rater, key, proposal.kind, proposal.first, crop)

    def exclude(self, question: int, reason: str) -> None:
        """Ask a question no more, because its images cannot be shown.

        It is asked again after a restart, when somebody may have mended them, or after `readmit`.
        """
        with self._lock:
            if question not in self.problems:
                row = self.questions.table.slice(question, 1).select(schema.COMPARISON_URIS)
                names = " | ".join(row.to_pylist()[0].values())
                LOGGER.warning(
                    "not asked any more: %s: %s", escape_line(names), escape_line(reason)
                )
            self.problems[question] = reason

    def readmit(self, question: int) -> None:
        """Ask a question again that was excluded."""
        with self._lock:
            self.problems.pop(question, None)

    def record(self, rater: str, vote: Vote) -> Recorded:
        """Store a vote; it is on disk when this returns.

        Raises:
            VoteRefused: see `Store.add_vote`.
        """
        with self._lock:
            is_new = self._store.add_vote(rater, vote)
            if is_new:
                self._take_answers()
            ask = self._store.find_ask(rater, vote.ask)
            return Recorded(is_new, self._expect(ask) if ask else None)

    def progress(self, rater: str) -> Progress:
        """Say how far a rater has come."""
        with self._lock:
            asks, unanswered = self._list_asks(rater)
            goal = count_asks(asks, self.questions, self._mark_open(), self.options, rater=rater)
            return Progress(len(asks) - len(unanswered), goal)

    def next_fit(self) -> Callable[[], object] | None:
        """Return work for another process, if what is known of the answers shall be updated."""
        with self._lock:
            return self._order.next_fit()

    def take_fit(self, result: object) -> None:
        """Take the result of that work."""
        with self._lock:
            self._order.take_fit(result)

    def read_answers(self) -> list[Answer]:
        """Return all answers, in the order in which they were stored."""
        with self._lock:
            return self._answers.copy()

    def _take_answers(self) -> None:
        """Read the answers that are new."""
        new = self._store.read_answers(self._answers[-1].number if self._answers else 0)
        if new:
            self._answers += new
            self._order.add(new)

    def _list_asks(self, rater: str) -> tuple[list[Ask], list[Ask]]:
        """List what a rater was asked and has answered, or can answer; and of it the latter."""
        unanswered = self._store.list_open(rater)
        hidden = {ask.id for ask in unanswered if not self._can_show(ask)}
        asks, unanswered = (
            [ask for ask in listed if ask.id not in hidden]
            for listed in (self._store.list_asks(rater), unanswered)
        )
        return asks, unanswered

    def _mark_open(self) -> NDArray[np.bool_]:
        """Mark the questions that may be asked now, (N,)."""
        is_open = self.questions.is_open.copy()
        is_open[list(self.problems)] = False
        return is_open

    def _can_show(self, ask: Ask) -> bool:
        number = self.questions.find(ask.question)
        return number not in self.problems and bool(self.questions.is_open[number])

    def _count_pending(self) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        numbers = [self.questions.find(key) for key in self._store.list_pending(PENDING_SECONDS)]
        oldest = time.monotonic() - PENDING_SECONDS
        numbers += [number for number, since in self._proposed.values() if since > oldest]
        return np.bincount(np.array(numbers, np.int64), minlength=len(self.questions))

    def _expect(self, ask: Ask) -> Choice | None:
        """Return the right choice of a question that is asked to practise, if it has one."""
        if ask.kind != "training":
            return None
        question = self.questions.find(ask.question)
        expected = self.questions.table[schema.EXPECTED_P_A][question].as_py()
        if expected is None:
            return None
        return "1" if (expected > 0.5) == (ask.first == "a") else "2"
