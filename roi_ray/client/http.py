"""Requests and answers as httpx has them."""

from typing import Any, TypeVar

import httpx

import roi_ray
from roi_ray.client.messages import Answer, NoAnswer, Request
from roi_ray.client.options import ClientOptions
from roi_ray.errors import UsageError

_Client = TypeVar("_Client", httpx.Client, httpx.AsyncClient)

_CONNECT_SECONDS = 10.0
_KEEP_ALIVE_SECONDS = 3.0
"""Less than the 5 seconds of most servers, which else may close a connection as it is used."""


def make_client(kind: type[_Client], options: ClientOptions) -> _Client:
    """Make an `httpx.Client` or an `httpx.AsyncClient`.

    Raises:
        UsageError: a proxy that the environment names cannot be used.
    """
    try:
        return kind(**_make_arguments(options))
    except (ImportError, ValueError, httpx.InvalidURL) as error:
        raise UsageError(
            f"a proxy that ALL_PROXY, HTTP_PROXY or HTTPS_PROXY names cannot be used: {error}"
        ) from error


def check_open(client: httpx.Client | httpx.AsyncClient) -> None:
    """Check that a client was not closed.

    Raises:
        UsageError: it was.
    """
    if client.is_closed:
        raise UsageError("this client is closed; make a new one")


def _make_arguments(options: ClientOptions) -> dict[str, Any]:
    headers = {"user-agent": f"roi-ray/{roi_ray.__version__}", "accept": "*/*"}
    if options.api_key is not None:
        headers["authorization"] = f"Bearer {options.api_key}"
    return {
        "base_url": options.url,
        "headers": headers,
        "limits": httpx.Limits(max_connections=None, keepalive_expiry=_KEEP_ALIVE_SECONDS),
    }


def make_stream_arguments(request: Request) -> dict[str, Any]:
    """Return the arguments of the method `stream` of both. They hold no file that is read once."""
    content: dict[str, Any] = {"content": request.content}
    if request.parts:
        # A text in `files` keeps its place among the files, and one in `data` does not.
        content = {"files": [(part.name, (part.filename, part.content)) for part in request.parts]}
    return {
        "method": request.method,
        "url": request.path,
        "params": request.query or None,
        "timeout": httpx.Timeout(request.timeout, connect=min(request.timeout, _CONNECT_SECONDS)),
        **content,
    }


def to_answer(response: httpx.Response, body: bytes) -> Answer:
    """Return the answer of a response."""
    return Answer(response.status_code, response.headers, body)


def to_no_answer(error: httpx.RequestError | TimeoutError, request: Request) -> NoAnswer:
    """Return why there is no answer."""
    if isinstance(error, httpx.ConnectTimeout):
        return NoAnswer("no connection in time")
    if isinstance(error, httpx.TimeoutException | TimeoutError):
        return NoAnswer(f"no complete answer within {request.timeout:.3g} s")
    # httpx says nothing of a connection that the other side reset.
    return NoAnswer(str(error).strip() or f"the connection broke ({type(error).__name__})")
