"""What the OpenAPI document says about requests and answers."""

from typing import Any

from pydantic import BaseModel

from roi_ray.service.http.bodies import ErrorBody, ReferenceBody
from roi_ray.service.http.forms import MULTIPART, URLENCODED
from roi_ray.service.options import Limits

DESCRIPTION = """
Scores decoded images against their reference: PSNR, MS-SSIM, LPIPS and discriminator loss, over the
whole image and where people look.

    curl -F reference=@photo.png -F image=@q50.jpg -F image=@q90.jpg URL/v1/score

**Images** are parts with a file name, or texts: a URI that the service may read, or
`sha256:HEX` for a reference that was sent before. The numbers are those of `roi_ray.score`.
An image that cannot be scored has an `error_kind` in the answer; the others have their numbers.

**Errors** are JSON too: `{"error_kind": ..., "error": ...}`. Ask again after 429 and 503, when
`Retry-After` says so.
"""

_FILE = {"type": "string", "format": "binary"}
_MEANINGS = {
    400: "`InvalidRequest`: the body cannot be parsed",
    401: "`Unauthorised`: no key that opens the service",
    403: "`NotAllowed`, `AccessError`: the service may not read a URI",
    404: "`UnknownReference`: not kept here, or not any more",
    408: "`RequestTimeout`: the body did not arrive in time",
    413: "`BodyTooLarge`: the body, with the files that it names",
    422: "`InvalidRequest`: a field is missing or unknown, or there are too many; or the kind of "
    "error of the reference or the mask, such as `ImageReadError`",
    429: "`TooManyRequests`: ask again after `Retry-After` seconds",
    500: "`InternalError`: a defect of the service",
    503: "`ServiceClosing`, `StorageUnavailable`, `WorkerDied`: ask again after `Retry-After` "
    "seconds",
    504: "`AnswerTimeout`: there was no answer in time",
}
Responses = dict[int | str, dict[str, Any]]

NEVER_SENT = (400, 403, 408, 413, 504)
"""Statuses that a path does not have that takes no body and computes nothing."""
NEVER_READ = (400, 403, 404, 408, 413, 422)
"""Statuses that a path does not have that reads nothing of a request."""

SHA256_PARAMETER = {
    "name": "sha256",
    "in": "path",
    "required": True,
    "description": "SHA-256 of the file, in hexadecimal",
    "schema": {"type": "string", "pattern": "^[0-9a-fA-F]{64}$"},
}
REFERENCE_PARAMETER = {
    "name": "reference",
    "in": "query",
    "required": True,
    "description": "`sha256:HEX` of a reference that was sent before, or a URI",
    "schema": {"type": "string", "examples": ["sha256:" + "0123456789abcdef" * 4]},
}


def describe_responses(body: type[BaseModel], *, without: tuple[int, ...] = ()) -> Responses:
    """Describe the answers of a path that computes something.

    Args:
        body: the answer with status 200.
        without: statuses that the path does not have.
    """
    errors: Responses = {
        status: {"model": ErrorBody, "description": text}
        for status, text in _MEANINGS.items()
        if status not in without
    }
    for status in {429, 503} - set(without):
        schema = {"schema": {"type": "integer"}, "description": "seconds"}
        errors[status]["headers"] = {"Retry-After": schema}
    return {200: {"model": body, "description": "The answer."}, **errors}


def describe_mask_responses() -> Responses:
    """Describe the answers of the path that makes masks."""
    fraction = {"schema": {"type": "number"}, "description": "mean of the mask, in [0, 1]"}
    version = {"schema": {"type": "integer"}, "description": "version of the numbers"}
    png = {
        "description": "The mask: a grey PNG of 8 bits, 255 inside the region of interest. Its "
        "text chunks have the scoring version, and settings and weights as JSON.",
        "content": {"image/png": {"schema": _FILE}},
        "headers": {"Roi-Fraction": fraction, "Scoring-Version": version},
    }
    return {**describe_responses(ErrorBody, without=(400, 408)), 200: png}


def describe_put_responses() -> Responses:
    """Describe the answers of the path that keeps references."""
    answers = describe_responses(ReferenceBody, without=(400, 403, 404, 504))
    answers[200]["description"] = "It was known."
    answers[422]["description"] = "`HashMismatch`: the body has another SHA-256"
    return {**answers, 201: {"model": ReferenceBody, "description": "It is new."}}


def describe_text_responses() -> Responses:
    """Describe the answers of the path of the metrics."""
    text = {
        "description": "Metrics of this node, as Prometheus reads them.",
        "content": {"text/plain": {"schema": {"type": "string"}}},
    }
    errors = describe_responses(ErrorBody, without=(400, 403, 408, 413, 422, 429, 504))
    errors[404]["description"] = "`NotFound`: the service runs without Ray"
    errors[503]["description"] = "`MetricsUnavailable`: Ray's agent does not answer"
    return {**errors, 200: text}


def describe_form(fields: dict[str, int], limits: Limits) -> dict[str, Any]:
    """Describe the form that a request has as its body.

    Args:
        fields: how often each field may be given, besides `reference` and `mask`.
        limits: what is accepted.
    """
    texts = {
        "reference": "the reference: a file, a URI, or `sha256:HEX` of one that was sent before",
        "image": f"decoded images of the reference's size, 1 to {limits.max_images}: files or URIs",
        "a": "the first image: a file or a URI",
        "b": "the second image: a file or a URI",
        "mask": "region of interest, a grey image of the reference's size: 255 inside, 0 outside; "
        "a file or a URI; without it, the saliency network finds the region",
    }
    counts = {"reference": 1, **fields, "mask": 1}
    required = [name for name in counts if name != "mask"]

    def describe(value: dict[str, Any]) -> dict[str, Any]:
        properties = {}
        for name, most in counts.items():
            one = value if most == 1 else {"type": "array", "items": value, "maxItems": most}
            properties[name] = {**one, "description": texts[name]}
        return {"type": "object", "required": required, "properties": properties}

    example = {name: f"s3://bucket/{name}.png" for name in required if name != "reference"} | {
        "reference": "sha256:" + "0123456789abcdef" * 4
    }
    content = {
        MULTIPART: {"schema": describe(_FILE)},
        URLENCODED: {"schema": describe({"type": "string"}), "example": example},
    }
    return {"requestBody": {"required": True, "content": content}}


def describe_file() -> dict[str, Any]:
    """Describe a body that is one file."""
    return {
        "requestBody": {
            "required": True,
            "content": {"application/octet-stream": {"schema": _FILE}},
        }
    }
