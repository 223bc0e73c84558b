"""Why a vote is not stored."""

from typing import Literal

RefusalKind = Literal["UnknownAsk", "AlreadyAnswered", "VoteMismatch", "InvalidRequest"]


class VoteRefused(Exception):
    """A vote cannot be stored, however often it is sent. Nothing was written.

    The message may be shown to the rater: it repeats nothing that was sent.

    Attributes:
        error_kind: `UnknownAsk`: the rater was not asked this; `AlreadyAnswered`: by another vote;
            `VoteMismatch`: the id belongs to a vote that says something else; `InvalidRequest`: a
            value cannot be stored.

    Examples:
        >>> VoteRefused("UnknownAsk", "you were not asked this").error_kind
        'UnknownAsk'
    """

    def __init__(self, error_kind: RefusalKind, text: str) -> None:
        super().__init__(text)
        self.error_kind = error_kind
