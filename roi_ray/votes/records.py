"""What the parts of a study hand to each other. Imports nothing heavy."""

from dataclasses import dataclass
from typing import Literal

from roi_ray.runtime.words import count_noun

Kind = Literal["training", "question", "gold", "repeat"]
"""Why a question is asked: to practise, with the right answer afterwards; to learn the answer; to
check the rater by a question whose answer is known; to check the rater by a question again."""

Side = Literal["a", "b"]
"""A candidate of a comparison."""

Choice = Literal["1", "2", "none"]
"""What a rater chooses: the first of the two candidates that the page shows, the second, or "I
cannot decide"."""

MIN_FLIPS = 3
MIN_MILLISECONDS = 3000
"""Answers with fewer flips, or given sooner, are hasty: stored, and marked as errors (the rule of
mucped22, see `roi_ray/datasets/mucped22.py`)."""


Crop = tuple[int, int, int, int]
"""The part of the images that is shown: left, top, width and height in pixels."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A question that a rater gets.

    Attributes:
        id: random text.
        rater: random text that stands for the rater, and says nothing about the person.
        question: key of the question, see `questions`.
        kind: why it is asked.
        first: the candidate that the page calls 1; the other one is 2.
        number: how many asks the rater had before; the order in which they are answered.
        crop: the part of the images that is shown; None for whole images.
    """

    id: str
    rater: str
    question: str
    kind: Kind
    first: Side
    number: int
    crop: Crop | None = None


@dataclass(frozen=True, slots=True)
class Screen:
    """What a rater looks at.

    Attributes:
        width: width of the screen in CSS pixels.
        height: its height, likewise.
        pixel_ratio: device pixels per CSS pixel.
        browser: what the browser calls itself.
    """

    width: int
    height: int
    pixel_ratio: float
    browser: str


@dataclass(frozen=True, slots=True)
class Vote:
    """An answer, as the page sends it.

    Attributes:
        id: text that the page makes, so that it may send the vote twice: a UUID.
        ask: the id of what was asked.
        choice: what the rater chose.
        flips: how often the page exchanged the two candidates.
        milliseconds: from the moment when the images were shown to the choice.
        screen: what the rater looked at.
    """

    id: str
    ask: str
    choice: Choice
    flips: int
    milliseconds: int
    screen: Screen


@dataclass(frozen=True, slots=True)
class Answer:
    """A stored vote, with what was asked.

    Attributes:
        number: from 1, in the order in which the votes were stored.
        vote: the vote.
        ask: what was asked.
        answered_at: seconds since 1970, when it was stored.
    """

    number: int
    vote: Vote
    ask: Ask
    answered_at: float

    @property
    def p_a(self) -> float:
        """Whether the rater prefers `a`: 1, 0, or 0.5 if the rater cannot decide.

        Examples:
            >>> screen = Screen(1920, 1080, 1.0, "")
            >>> ask = Ask("x", "r", "q", "question", first="b", number=0)
            >>> Answer(1, Vote("v", "x", "1", 4, 5000, screen), ask, 0.0).p_a
            0.0
        """
        if self.vote.choice == "none":
            return 0.5
        return float((self.vote.choice == "1") == (self.ask.first == "a"))

    @property
    def problem(self) -> str | None:
        """Why the answer must not count, or None: it is hasty.

        Examples:
            >>> screen = Screen(1920, 1080, 1.0, "")
            >>> ask = Ask("x", "r", "q", "question", first="a", number=0)
            >>> Answer(1, Vote("v", "x", "1", 2, 900, screen), ask, 0.0).problem
            'hasty: 2 flips, fewer than 3; 900 ms, less than 3000'
        """
        reasons = []
        if self.vote.flips < MIN_FLIPS:
            reasons.append(f"{count_noun(self.vote.flips, 'flip')}, fewer than {MIN_FLIPS}")
        if self.vote.milliseconds < MIN_MILLISECONDS:
            reasons.append(f"{self.vote.milliseconds} ms, less than {MIN_MILLISECONDS}")
        return f"hasty: {'; '.join(reasons)}" if reasons else None
