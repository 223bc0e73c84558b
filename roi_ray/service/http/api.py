"""The HTTP interface of the service: paths, documents and limits around a backend."""

from typing import Any, Protocol, cast

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ExceptionHandler

import roi_ray
from roi_ray.errors import RoiRayError
from roi_ray.schema import Failure
from roi_ray.service.backend import Backend
from roi_ray.service.http import bodies, openapi
from roi_ray.service.http.documents import PAGES, STATIC, make_documented_app
from roi_ray.service.http.endpoints import Endpoints
from roi_ray.service.http.telemetry import RequestTelemetry
from roi_ray.service.options import ServiceOptions
from roi_ray.web.error_answers import (
    ErrorAnswer,
    RequestFailed,
    answer_failure,
    internal_error,
)
from roi_ray.web.gate import Gate, Passage
from roi_ray.web.json_answers import error_response
from roi_ray.web.names import clean_name
from roi_ray.web.routes import list_methods

_OPEN = ("/v1/health", "/v1/ready", *PAGES)
_HTTP_KINDS = {404: "NotFound", 405: "MethodNotAllowed"}


class Endpoint(Protocol):
    """A function behind a path."""

    __name__: str

    async def __call__(self, request: Request, /) -> Response:
        """Return the response to a request."""


def build_api(backend: Backend, options: ServiceOptions) -> Gate:
    """Build the ASGI app of a service.

    Args:
        backend: what computes the answers.
        options: how the service runs.

    Returns:
        the app. Its `close` refuses new requests, and its `requests` counts those in progress.

    Raises:
        UsageError: the hash of an API key is not a SHA-256 in hexadecimal.
        StorageError: a folder that may be read cannot be named so.
    """
    endpoints = Endpoints(backend, options)
    app = _make_app()
    _add_paths(app, endpoints, options)
    gate = Gate(app, options.limits, options.api_keys, _passage, RequestTelemetry(_template))
    endpoints.is_open = lambda: not gate.is_closed
    return gate


def _passage(path: str) -> Passage:
    if path in _OPEN or path.startswith(f"{STATIC}/"):
        return Passage(needs_key=False, is_counted=False)
    return Passage(is_counted=path != "/metrics")


def _template(path: str) -> str:
    """Return the template of a path, for metrics: there are few of them."""
    if path.startswith("/v1/references/"):
        return "/v1/references"
    known = (*_OPEN, "/v1/score", "/v1/compare", "/v1/mask", "/v1/about", "/metrics")
    return path if path in known else "other"


def _make_app() -> FastAPI:
    handlers: dict[Any, ExceptionHandler] = {
        RequestFailed: cast(ExceptionHandler, _answer_request_failed),
        RoiRayError: _answer_known_error,
        HTTPException: cast(ExceptionHandler, _answer_http_error),
        # The gate logs the error, which the app raises again.
        Exception: _answer_defect,
    }
    return make_documented_app(
        title="roi-ray",
        version=roi_ray.__version__,
        description=openapi.DESCRIPTION,
        exception_handlers=handlers,
        redirect_slashes=False,
    )


def _add_paths(app: FastAPI, endpoints: Endpoints, options: ServiceOptions) -> None:
    def add(
        method: str,
        path: str,
        endpoint: Endpoint,
        responses: openapi.Responses,
        extra: dict[str, Any] | None = None,
    ) -> None:
        app.add_api_route(
            path,
            endpoint,
            methods=[method],
            response_class=Response,
            response_model=None,
            operation_id=endpoint.__name__ + ("_head" if method == "HEAD" else ""),
            responses=responses,
            openapi_extra=extra,
        )

    answers, limits = openapi.describe_responses, options.limits
    images = openapi.describe_form({"image": limits.max_images}, limits)
    add("POST", "/v1/score", endpoints.score, answers(bodies.ScoreBody), images)
    pair = openapi.describe_form({"a": 1, "b": 1}, limits)
    add("POST", "/v1/compare", endpoints.compare, answers(bodies.CompareBody), pair)
    parameters = {"parameters": [openapi.REFERENCE_PARAMETER]}
    add("GET", "/v1/mask", endpoints.make_mask, openapi.describe_mask_responses(), parameters)

    path, parameters = "/v1/references/{sha256}", {"parameters": [openapi.SHA256_PARAMETER]}
    file = parameters | openapi.describe_file()
    add("PUT", path, endpoints.put_reference, openapi.describe_put_responses(), file)
    known = answers(bodies.ReferenceBody, without=openapi.NEVER_SENT)
    for method in ("GET", "HEAD"):
        add(method, path, endpoints.get_reference, known, parameters)

    nothing = openapi.NEVER_READ
    about = answers(bodies.AboutBody, without=nothing)
    add("GET", "/v1/about", endpoints.describe, about)
    alive = answers(bodies.StatusBody, without=(*nothing, 401, 429, 503))
    ready = answers(bodies.StatusBody, without=(*nothing, 401, 429))
    for method in ("GET", "HEAD"):  # load balancers use both
        add(method, "/v1/health", endpoints.say_alive, alive)
        add(method, "/v1/ready", endpoints.say_ready, ready)
    add("GET", "/metrics", endpoints.read_metrics, openapi.describe_text_responses())


async def _answer_request_failed(_: Request, error: RequestFailed) -> Response:
    return error_response(error.answer)


async def _answer_known_error(_: Request, error: Exception) -> Response:
    return error_response(answer_failure(Failure.from_exception(error)))


async def _answer_http_error(request: Request, error: HTTPException) -> Response:
    kind = _HTTP_KINDS.get(error.status_code, "InvalidRequest")
    text = {
        "NotFound": f"there is no {clean_name(request.url.path)}; /docs lists what there is",
        "MethodNotAllowed": f"{clean_name(request.url.path)} does not take {request.method}",
    }.get(kind, str(error.detail))
    headers = dict(error.headers or {})
    if kind == "MethodNotAllowed":  # the framework names those of one of the routes of the path
        headers["Allow"] = ", ".join(list_methods(request))
    return error_response(ErrorAnswer(kind, text, error.status_code, tuple(headers.items())))


async def _answer_defect(_: Request, __: Exception) -> Response:
    return error_response(internal_error())
