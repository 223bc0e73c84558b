"""Errors as HTTP answers: which kind of error has which status, in one place."""

from dataclasses import dataclass

from roi_ray.runtime.logs import LOGGER, escape_line
from roi_ray.schema import Failure

RETRY_AFTER_SECONDS = 2
"""What `Retry-After` says: requests take seconds, and so does the start of a process."""

INTERNAL_ERROR = "InternalError"

STATUSES = {
    "Unauthorised": 401,
    "NotAllowed": 403,
    "AccessError": 403,
    "CrossOrigin": 403,
    "NotFound": 404,
    "UnknownReference": 404,
    "UnknownAsk": 404,
    "MethodNotAllowed": 405,
    "RequestTimeout": 408,
    "AlreadyAnswered": 409,
    "VoteMismatch": 409,
    "BodyTooLarge": 413,
    "UnsupportedMediaType": 415,
    "MisdirectedRequest": 421,
    "InvalidRequest": 422,
    "HashMismatch": 422,
    "StorageError": 422,
    "ImageReadError": 422,
    "UnsupportedColour": 422,
    "UnusableMask": 422,
    "ImageTooLarge": 422,
    "ImageTooSmall": 422,
    "SizeMismatch": 422,
    "OutOfMemory": 422,
    "NonFiniteScore": 422,
    "UsageError": 422,
    "TooManyRequests": 429,
    INTERNAL_ERROR: 500,
    "NotReady": 503,
    "ServiceClosing": 503,
    "StorageUnavailable": 503,
    "MetricsUnavailable": 503,
    "WorkerDied": 503,
    "AnswerTimeout": 504,
}
"""Status by kind of error. A body that cannot be parsed is an `InvalidRequest` with 400."""

_RETRY_STATUSES = {429, 503}


@dataclass(frozen=True)
class ErrorAnswer:
    """An answer that says why there is no other one.

    Attributes:
        kind: the `error_kind`.
        text: what was wrong, and what to do. Control characters are escaped in the answer.
        status: HTTP status; 0 for that of the kind.
        headers: more headers.

    Examples:
        >>> answer = ErrorAnswer("SizeMismatch", "mask x.png: 3 x 4, but the reference is 4 x 4")
        >>> answer.code, answer.body["error_kind"]
        (422, 'SizeMismatch')
        >>> ErrorAnswer("TooManyRequests", "...").all_headers
        {'Retry-After': '2'}
    """

    kind: str
    text: str
    status: int = 0
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def code(self) -> int:
        """The HTTP status."""
        return self.status or STATUSES[self.kind]

    @property
    def body(self) -> dict[str, str]:
        """The JSON document."""
        return {"error_kind": self.kind, "error": escape_line(self.text)}

    @property
    def all_headers(self) -> dict[str, str]:
        """All headers by name, but those of the content."""
        retry = {"Retry-After": str(RETRY_AFTER_SECONDS)} if self.code in _RETRY_STATUSES else {}
        return retry | dict(self.headers)


class RequestFailed(Exception):
    """A request gets an error instead of an answer."""

    def __init__(self, answer: ErrorAnswer) -> None:
        super().__init__(answer.text)
        self.answer = answer


def request_failed(kind: str, text: str, status: int = 0) -> RequestFailed:
    """Make the exception that ends a request; see `ErrorAnswer`."""
    return RequestFailed(ErrorAnswer(kind, text, status))


def answer_failure(failure: Failure) -> ErrorAnswer:
    """Make the answer to a request whose reference or mask failed, or whose scoring did.

    A failure of a kind that has no status is a defect: it is logged, and the client does not see
    its text.
    """
    if failure.kind in STATUSES:
        return ErrorAnswer(failure.kind, failure.text)
    LOGGER.error("%s", escape_line(str(failure)))
    return internal_error()


def internal_error() -> ErrorAnswer:
    """Make the answer to a request that met a defect; the log says more."""
    return ErrorAnswer(
        INTERNAL_ERROR, "the server has a defect, or is set up wrongly; its log says more"
    )
