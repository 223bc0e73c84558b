"""Options of a study, and what the command prints when it opens. Imports nothing heavy."""

from dataclasses import dataclass, field
from typing import Literal

from roi_ray.errors import UsageError
from roi_ray.settings import DEFAULT_PREFERENCE_MODEL, MAX_PIXELS
from roi_ray.web.limits import check_positive

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8100

Goal = Literal["ranking", "model"]
"""What the next question shall teach most about: the ranking of the methods, or a preference model.
"""

By = Literal["method", "codec"]
"""What is ranked: an encoder at one setting (method), or an encoder (codec)."""


@dataclass(frozen=True)
class VoteOptions:
    """What people are asked, and how often.

    Attributes:
        gold: share of questions whose answer is known, 0..1.
        repeats: share of questions that the rater has answered before, 0..1.
        training: questions to practise at the beginning; the page says afterwards which answer was
            right, and the answers do not count.
        questions_per_rater: questions that a rater is asked after the training.
        active: what the next question shall teach about; None for questions in random order.
        model: preference model to begin with, where `active` is `model`.
        by: what is ranked.
        stop_at: Kendall's tau between the ranking so far and the ranking that endless votes would
            give at which more votes are not needed, expected, 0..1.
        max_questions: questions made from scores, besides those whose answer is known; a random
            part of all pairs if there are more.
        crop: side in pixels of the part that is shown of larger images; None for the whole image,
            which raters move if it is larger than their screen.
        max_pixels: largest image that is decoded.
        seed: seed of all that is random in the choice and order of questions.

    Raises:
        UsageError: an option cannot be used.
    """

    gold: float = 0.1
    repeats: float = 0.05
    training: int = 3
    questions_per_rater: int = 50
    active: Goal | None = None
    model: str = DEFAULT_PREFERENCE_MODEL
    by: By = "method"
    stop_at: float = 0.95
    max_questions: int = 20_000
    crop: int | None = None
    max_pixels: int = MAX_PIXELS
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("gold", "repeats", "stop_at"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"{name} is {getattr(self, name)}; it must be within 0..1")
        if self.gold + self.repeats > 0.5:
            raise UsageError(
                f"gold and repeats are {self.gold + self.repeats:g} of all questions together; "
                "at most half of them may check the rater"
            )
        for name in ("training", "seed"):
            if getattr(self, name) < 0:
                raise UsageError(f"{name} is {getattr(self, name)}; it must be 0 or more")
        for name in ("questions_per_rater", "max_questions", "max_pixels"):
            check_positive(name, getattr(self, name))
        if self.crop is not None and self.crop < 64:
            raise UsageError(f"crop is {self.crop} pixels; it must be 64 or more")


@dataclass(frozen=True)
class StudyFiles:
    """Where the questions of a study come from, and where its answers go.

    Attributes:
        output: path or `s3://` URI of the folder for the answers.
        comparisons: path or URI of comparisons; or
        scores: path or URI of scores.
        database: folder of the database, on this machine; None for `output`.
        allow_prefixes: folders whose images may be shown, besides that of the questions.
        consent: text file that raters agree to; None for a text of our own.
    """

    output: str
    comparisons: str | None = None
    scores: str | None = None
    database: str | None = None
    allow_prefixes: tuple[str, ...] = ()
    consent: str | None = None


@dataclass(frozen=True)
class Address:
    """Where a study is reached.

    Attributes:
        host: address to listen at.
        port: its port; 0 for any that is free.
        public_url: what raters type, if a proxy is in front; None for the address itself.
    """

    host: str = DEFAULT_HOST
    port: int = DEFAULT_PORT
    public_url: str | None = None


@dataclass(frozen=True)
class Access:
    """Who gets in.

    Attributes:
        invitations: links to make now; None for one where the study has none.
        raters: raters that each of them lets in.
        admin_keys: SHA-256, in hexadecimal, of each key of the operator; empty for a key that is
            made now.
    """

    invitations: int | None = None
    raters: int = 1
    admin_keys: tuple[str, ...] = ()


@dataclass(frozen=True)
class Opening:
    """What the operator must know of a study that has begun.

    Attributes:
        url: where it is reached.
        questions: questions that may be asked, control questions left out.
        answers: answers that it has already.
        links: new invitations.
        places: raters that can still join.
        admin_key: the operator's key, if it was made now.
    """

    url: str
    questions: int
    answers: int
    links: list[str] = field(default_factory=list, repr=False)
    places: int = 0
    admin_key: str | None = field(default=None, repr=False)
