"""Find out why a service ended a connection while a large body was sent.

A service that refuses a body answers before it has read all of it, and then closes the connection.
The end of the connection may overtake the answer, which is then lost.
"""

from roi_ray.client.answers import is_final, read_json
from roi_ray.client.messages import Answer, Operation, Request
from roi_ray.errors import ServiceError

LARGE_BODY = 1 << 20
"""Bytes of a body that a service may refuse before it has read all of it."""

_TIMEOUT = 10.0
_HEADERS = 200
"""Bytes that a form adds to each of its parts, about."""


def body_size(request: Request) -> int:
    """Return the bytes of a request's body; of a form, about."""
    return len(request.content or b"") + sum(len(part.content) + _HEADERS for part in request.parts)


def check_refused(request: Request, timeout: float) -> Operation[None]:
    """Ask what the service accepts, after a request got no answer.

    Args:
        request: the request.
        timeout: seconds that are left.

    Raises:
        ServiceError: the service would refuse the request: it accepts no request, for example
            without a key, or none of this size.
    """
    size = body_size(request)
    if size < LARGE_BODY:
        return
    answer = yield Request("GET", "/v1/about", min(timeout, _TIMEOUT))
    if not isinstance(answer, Answer) or not is_final(answer):
        return  # it may pass
    limits = read_json(answer).get("limits")
    if not isinstance(limits, dict):
        return
    most = min(
        (limits[name] for name in ("max_body_bytes", "max_waiting_bytes") if name in limits),
        default=size,
    )
    if size > most:
        raise ServiceError(
            f"BodyTooLarge: the request has {size:,} bytes, and the service takes at most "
            f"{most:,}; send fewer or smaller images",
            413,
            "BodyTooLarge",
        )
