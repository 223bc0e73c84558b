"""Errors as answers: JSON for programs, a page for people."""

import sqlite3
from typing import Any, cast

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import ExceptionHandler

from roi_ray.errors import RoiRayError, StorageUnavailable
from roi_ray.runtime.logs import LOGGER, escape_line
from roi_ray.votes.http.pages import Pages
from roi_ray.web.defects import log_defect
from roi_ray.web.error_answers import ErrorAnswer, RequestFailed, internal_error
from roi_ray.web.json_answers import error_response
from roi_ray.web.names import clean_name

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


class Errors:
    """Makes the answers to requests that fail.

    Args:
        pages: writes the pages.
    """

    def __init__(self, pages: Pages) -> None:
        self._pages = pages

    def handlers(self) -> dict[Any, ExceptionHandler]:
        """Return what the app does about each type of error."""
        return {
            RequestFailed: cast(ExceptionHandler, self._answer_failed),
            RoiRayError: cast(ExceptionHandler, self._answer_known),
            sqlite3.Error: cast(ExceptionHandler, self._answer_known),
            HTTPException: cast(ExceptionHandler, self._answer_http),
        }

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
        # A path may have the token of an invitation.
        log_defect("/join/..." if path.startswith("/join/") else path, error)
        return self.answer(path, internal_error())

    async def _answer_failed(self, request: Request, error: RequestFailed) -> Response:
        return self.answer(request.url.path, error.answer)

    async def _answer_known(self, request: Request, error: Exception) -> Response:
        """Answer an error that is the operator's concern: its text may name files."""
        if isinstance(error, StorageUnavailable | sqlite3.OperationalError):
            LOGGER.error("%s", escape_line(f"{type(error).__name__}: {error}"))
            return self.answer(request.url.path, _UNAVAILABLE)
        return self.answer_defect(request.url.path, error)

    async def _answer_http(self, request: Request, error: HTTPException) -> Response:
        path = clean_name(request.url.path)
        kind = _HTTP_KINDS.get(error.status_code, "InvalidRequest")
        text = {
            "NotFound": "there is nothing at this address",
            "MethodNotAllowed": f"{path} does not take {clean_name(request.method)}",
        }.get(kind, "the request cannot be read")
        headers = dict(error.headers or {})
        if kind == "MethodNotAllowed":
            headers["Allow"] = ", ".join(_allowed_methods(request))
        answer = ErrorAnswer(kind, text, error.status_code, tuple(headers.items()))
        return self.answer(request.url.path, answer)


def _allowed_methods(request: Request) -> list[str]:
    """List the methods that the path of a request takes."""
    routes = [route for route in request.app.routes if isinstance(route, Route)]
    matching = [route for route in routes if route.matches(request.scope)[0] != Match.NONE]
    return sorted({method for route in matching for method in route.methods or ()})
