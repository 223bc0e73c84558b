"""Requests to the service, and the check of its answers. Uses neither locust nor roi-ray."""

import hashlib
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

BOUNDARY = "roi-ray-bench"
CONTENT_TYPE = f"multipart/form-data; boundary={BOUNDARY}"
_PNG_END = 12
"""Bytes of a PNG file's last chunk, IEND."""


def mark_reference(png: bytes, mark: str) -> bytes:
    """Add a comment to a PNG file: other bytes, and so another hash, of the same pixels."""
    text = b"tEXtComment\0" + mark.encode("ascii")
    chunk = (len(text) - 4).to_bytes(4, "big") + text + zlib.crc32(text).to_bytes(4, "big")
    return png[:-_PNG_END] + chunk + png[-_PNG_END:]


def build_body(reference: bytes | str, images: Sequence[tuple[str, bytes]]) -> bytes:
    """Build the body of a request.

    Args:
        reference: a file's content, or `sha256:HEX`.
        images: name and content of each distorted image.
    """
    parts = [
        _part('name="reference"', reference.encode("ascii"))
        if isinstance(reference, str)
        else _part('name="reference"; filename="reference.png"', reference)
    ]
    parts += [_part(f'name="image"; filename="{name}"', data) for name, data in images]
    return b"".join([*parts, f"--{BOUNDARY}--\r\n".encode()])


def _part(disposition: str, data: bytes) -> bytes:
    head = f"--{BOUNDARY}\r\nContent-Disposition: form-data; {disposition}\r\n\r\n"
    return head.encode("ascii") + data + b"\r\n"


def name_by_hash(reference: bytes) -> str:
    """Return the text that names a reference that was sent before."""
    return f"sha256:{hashlib.sha256(reference).hexdigest()}"


@dataclass(frozen=True)
class Answer:
    """What came of one request.

    Attributes:
        started: seconds on the clock `time.monotonic` at which it was sent.
        milliseconds: until the whole answer was there.
        images: distorted images of the request.
        sent_reference: whether the reference was in the request, instead of its hash.
        cached: whether the service had prepared the reference before; None for an error.
        wrong: images whose numbers are missing, or differ from those of the scorer.
        error: status and kind of an error; None for an answer with numbers.
        lost: whether there was no answer.
        client_seconds: CPU time of the clients' process so far.
    """

    started: float
    milliseconds: float
    images: int
    sent_reference: bool
    cached: bool | None = None
    wrong: int = 0
    error: str | None = None
    lost: bool = False
    client_seconds: float = 0.0


def no_answer(reason: str) -> dict[str, Any]:
    """Return the fields of `Answer` that say why there is no answer."""
    return {"lost": True, "error": f"no answer: {reason}"}


def check_answer(status: int, text: str, expected: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Check an answer.

    Args:
        status: its HTTP status.
        text: its body.
        expected: `Scores.to_dict()` of each image, as JSON gives them.

    Returns:
        fields of `Answer`.
    """
    try:
        body = json.loads(text)
    except ValueError:
        return {"error": f"{status}, not JSON"}
    if status != HTTPStatus.OK:
        return {"error": f"{status} {body.get('error_kind')}"}
    return {"cached": body["reference"]["cached"], "wrong": _count_wrong(body["images"], expected)}


def _count_wrong(
    answers: Sequence[Mapping[str, Any]], expected: Sequence[Mapping[str, Any]]
) -> int:
    """Count the images whose numbers are not exactly those of the scorer."""
    if len(answers) != len(expected):
        return len(expected)
    return sum(
        answer.get("error_kind") is not None
        or any(name not in answer or answer[name] != value for name, value in scores.items())
        for answer, scores in zip(answers, expected, strict=True)
    )
