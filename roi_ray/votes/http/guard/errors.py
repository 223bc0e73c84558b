"""Errors as answers: JSON for programs, a page for people."""

from collections.abc import Awaitable, Callable

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from roi_ray.errors import StorageUnavailable
from roi_ray.runtime.logs import LOGGER, escape_line
from roi_ray.votes.http.pages import Pages
from roi_ray.web.defects import log_defect
from roi_ray.web.error_answers import ErrorAnswer, RequestFailed, internal_error
from roi_ray.web.json_answers import error_response
from roi_ray.web.names import clean_name
from roi_ray.web.routes import list_methods

Endpoint = Callable[[Request], Awaitable[Response]]
"""A function behind a path."""

_PROGRAMS = ("/api", "/images", "/static", "/health", "/admin/status")
_FILES = (".parquet", ".csv")
_HTTP_KINDS = {404: "NotFound", 405: "MethodNotAllowed"}
_TITLES = {
    401: "You are not signed in",
    403: "That is not allowed",
    404: "There is no such page",
    429: "Too many requests",
    500: "Something went wrong",
    503: "Not now",
}
_UNAVAILABLE = ErrorAnswer("StorageUnavailable", "the study's storage fails; ask again later")


def is_for_programs(path: str) -> bool:
    """Return whether errors of a path are JSON.

    Examples:
        >>> is_for_programs("/api/votes"), is_for_programs("/admin/raters.csv")
        (True, True)
        >>> is_for_programs("/join/abc"), is_for_programs("/admin")
        (False, False)
    """
    below = any(path == name or path.startswith(f"{name}/") for name in _PROGRAMS)
    return below or (path.startswith("/admin/") and path.endswith(_FILES))


def hide_token(path: str) -> str:
    """Return what the log calls a path, which may have the token of an invitation.

    Examples:
        >>> hide_token("/join/abc"), hide_token("/study")
        ('/join/...', '/study')
    """
    return "/join/..." if path.startswith("/join/") else path


class Errors:
    """Makes the answers to requests that fail.

    Args:
        pages: writes the pages.
    """

    def __init__(self, pages: Pages) -> None:
        self._pages = pages

    def guard(self, endpoint: Endpoint) -> Endpoint:
        """Wrap a function behind a path, so that it always returns an answer."""

        async def answer_errors(request: Request) -> Response:
            path = request.url.path
            try:
                return await endpoint(request)
            except RequestFailed as error:
                return self.answer(path, error.answer)
            except StorageUnavailable as error:  # its text may name files
                LOGGER.error("%s", escape_line(f"StorageUnavailable: {error}"))
                return self.answer(path, _UNAVAILABLE)
            except Exception as error:
                return self.answer_defect(path, error)

        return answer_errors

    def answer(self, path: str, answer: ErrorAnswer) -> Response:
        """Make the answer to a request of a path."""
        if is_for_programs(path):
            return error_response(answer)
        text = answer.body["error"]
        sentence = text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")
        title = _TITLES.get(answer.code, "This does not work")
        return self._pages.message(title, sentence, answer.code, answer.all_headers)

    def answer_defect(self, path: str, error: Exception) -> Response:
        """Log an error that nobody expected, and make the answer, which says nothing about it."""
        log_defect(hide_token(path), error)
        return self.answer(path, internal_error())

    async def answer_http(self, request: Request, error: Exception) -> Response:
        """Make the answer to a request that no path takes."""
        assert isinstance(error, HTTPException)
        path = clean_name(request.url.path)
        kind = _HTTP_KINDS.get(error.status_code, "InvalidRequest")
        text = {
            "NotFound": "there is nothing at this address",
            "MethodNotAllowed": f"{path} does not take {clean_name(request.method)}",
        }.get(kind, "the request cannot be read")
        headers = dict(error.headers or {})
        if kind == "MethodNotAllowed":
            headers["Allow"] = ", ".join(list_methods(request))
        answer = ErrorAnswer(kind, text, error.status_code, tuple(headers.items()))
        return self.answer(request.url.path, answer)
