"""Read the answers of a service: their JSON, or the error that they describe."""

import json
from http import HTTPStatus
from typing import Any

from roi_ray import errors
from roi_ray.client.messages import Answer
from roi_ray.errors import ImageError, RoiRayError, ServiceError, StorageError

UNKNOWN_REFERENCE = "UnknownReference"
"""Kind of the error that a reference was named by its hash, and the service does not keep it."""

RETRIED_STATUSES = (408, 429, 502, 503, 504)
"""The body came too slowly; too many requests; no service behind the proxy; closing; too late.

The same request may succeed later, and may be repeated, because it changes nothing but what is
kept. All other statuses from 400 say that it would fail again, 500 too: it is a defect.
"""

_PROXY_STATUSES = (404, 500)
"""What Ray Serve's proxy answers before the service has started or after it has ended, and if the
process died that had the request. They are retried unless they are the service's own."""


def read_json(answer: Answer) -> dict[str, Any]:
    """Return the JSON of an answer.

    Raises:
        RoiRayError: the answer is an error; see `to_error`.
        ServiceError: the answer is no JSON, as of a web page.
    """
    check_status(answer)
    document = _parse(answer)
    if document is None:
        raise malformed_answer(answer, "is not JSON")
    return document


def check_status(answer: Answer) -> None:
    """Check that an answer is no error.

    Raises:
        RoiRayError: it is one; see `to_error`.
    """
    if not 200 <= answer.status < 300:
        raise to_error(answer)


def to_error(answer: Answer) -> RoiRayError:
    """Make the error that an answer describes.

    Returns:
        the error that `roi_ray.score` raises, if the answer says that an image or its storage is at
        fault; otherwise a `ServiceError`.
    """
    kind, text = summarize(answer)
    error_type = getattr(errors, kind or "", None)
    if (
        400 <= answer.status < 500
        and isinstance(error_type, type)
        and issubclass(error_type, ImageError | StorageError)
    ):
        return error_type(text.removeprefix(f"{kind}: "))
    return ServiceError(text, answer.status, kind)


def malformed_answer(answer: Answer, what: str) -> ServiceError:
    """Make the error for an answer that no service of roi-ray gives."""
    content_type = answer.headers.get("content-type", "no content type")
    return ServiceError(
        f"the answer (HTTP {answer.status}, {content_type}) {what}; is the URL that of a roi-ray "
        "service, and of this release?",
        answer.status,
    )


def is_final(answer: Answer) -> bool:
    """Return whether the same request would get the same answer again; see `RETRIED_STATUSES`."""
    if answer.status in _PROXY_STATUSES:
        return is_json(answer)
    return answer.status not in RETRIED_STATUSES


def is_unknown_reference(answer: Answer) -> bool:
    """Return whether an answer says that the service does not keep the reference."""
    return answer.status == HTTPStatus.NOT_FOUND and summarize(answer)[0] == UNKNOWN_REFERENCE


def is_json(answer: Answer) -> bool:
    """Return whether an answer is JSON by its header, as all are of the service but masks."""
    return answer.headers.get("content-type", "").startswith("application/json")


def summarize(answer: Answer) -> tuple[str | None, str]:
    """Return the kind of an error, if the answer has one, and one line that says what is wrong."""
    document = _parse(answer) or {}
    kind, text = document.get("error_kind"), document.get("error")
    if isinstance(kind, str) and isinstance(text, str):
        return kind, f"{kind}: {text}"
    return None, f"HTTP {answer.status}{_phrase(answer)}{_explain(answer)}"


def _phrase(answer: Answer) -> str:
    try:
        return f" {HTTPStatus(answer.status).phrase}"
    except ValueError:
        return ""


def _explain(answer: Answer) -> str:
    """Say what can be known of an answer that does not come from a service of roi-ray."""
    if 300 <= answer.status < 400:
        return f", which leads to {answer.headers.get('location', 'no address')}; give that URL"
    if not answer.body:  # as of every HEAD
        return ""
    return ", from a proxy or another server than roi-ray's; check the URL"


def _parse(answer: Answer) -> dict[str, Any] | None:
    """Return the JSON object that an answer holds; None if it holds none."""
    try:
        document = json.loads(answer.body)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None
