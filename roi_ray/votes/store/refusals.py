"""Why a vote is not stored."""

from typing import Literal

RefusalKind = Literal["UnknownAsk", "AlreadyAnswered", "VoteMismatch", "InvalidRequest"]

_STATUSES: dict[RefusalKind, int] = {
    "UnknownAsk": 404,
    "AlreadyAnswered": 409,
    "VoteMismatch": 409,
    "InvalidRequest": 422,
}


class VoteRefused(Exception):
    """A vote cannot be stored, however often it is sent. Nothing was written.

    The message may be shown to the rater: it repeats nothing that was sent.

    Attributes:
        error_kind: `UnknownAsk`: the rater was not asked this; `AlreadyAnswered`: by another vote;
            `VoteMismatch`: the id belongs to a vote that says something else; `InvalidRequest`: a
            value cannot be stored.
        status: the HTTP status.

    Examples:
        >>> VoteRefused("UnknownAsk", "you were not asked this").status
        404
    """

    def __init__(self, error_kind: RefusalKind, text: str) -> None:
        super().__init__(text)
        self.error_kind = error_kind
        self.status = _STATUSES[error_kind]
