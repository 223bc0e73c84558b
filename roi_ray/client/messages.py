"""What an operation asks its client to do, and the answers. Nothing here sends or waits.

An operation is a generator, which `Client` and `AsyncClient` run alike: it yields a `Request`, a
`Pause` or a `Work`, receives an `Answer`, a `NoAnswer` or what the work returned, and returns its
result.
"""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

_T = TypeVar("_T")


@dataclass(frozen=True)
class Part:
    """A field of a form.

    Attributes:
        name: name of the field.
        content: content of a file, or a text.
        filename: name of the file; None for a text.
    """

    name: str
    content: bytes | str = field(repr=False)
    filename: str | None = None


@dataclass(frozen=True)
class Request:
    """A request, which can be sent more than once.

    Attributes:
        method: method of HTTP.
        path: path below the URL of the service.
        timeout: seconds until the answer must be complete.
        parts: fields of the form that is sent.
        content: body that is sent if there is no form.
        query: parameters of the URL.
    """

    method: str
    path: str
    timeout: float
    parts: tuple[Part, ...] = ()
    content: bytes | None = field(default=None, repr=False)
    query: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """A complete answer.

    Attributes:
        status: status of HTTP.
        headers: headers, by name in any case.
        body: decoded content.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


@dataclass(frozen=True)
class NoAnswer:
    """The connection failed, or the answer was not complete in time.

    Attributes:
        reason: why, in a few words.
    """

    reason: str


@dataclass(frozen=True)
class Pause:
    """Wait.

    Attributes:
        seconds: how long.
    """

    seconds: float


@dataclass(frozen=True)
class Work:
    """Read files or encode images.

    Attributes:
        function: what to call. It may take a while: `AsyncClient` calls it in a thread.
    """

    function: Callable[[], Any]


Operation: TypeAlias = Generator[Request | Pause | Work, Any, _T]
