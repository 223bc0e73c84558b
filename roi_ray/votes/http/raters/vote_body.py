"""Read what the voting page sends."""

import json
import re
from typing import Annotated, Any, Literal, NoReturn

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from roi_ray.runtime.logs import escape_line
from roi_ray.votes.records import Screen, Vote
from roi_ray.web.error_answers import RequestFailed, request_failed

MAX_BYTES = 4096
MAX_BROWSER = 200
"""Characters of what a browser calls itself that are stored."""

_UUID = r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
ASK_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")

_Pixels = Annotated[int, Field(ge=0, le=100_000)]


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False, frozen=True)


class ScreenBody(_Strict):
    """The screen, as the page describes it."""

    width: _Pixels
    height: _Pixels
    pixel_ratio: Annotated[float, Field(gt=0, le=100)]


class VoteBody(_Strict):
    """A vote, as the page sends it; see `roi_ray.votes.records.Vote`."""

    id: Annotated[str, Field(pattern=_UUID)]
    ask: Annotated[str, Field(pattern=rf"^{ASK_ID.pattern}$")]
    choice: Literal["1", "2", "none"]
    flips: Annotated[int, Field(ge=0, le=1_000_000)]
    milliseconds: Annotated[int, Field(ge=0, le=10_000_000_000)]
    screen: ScreenBody


def read_vote(body: bytes, browser: str) -> Vote:
    """Read a vote.

    Args:
        body: the JSON document.
        browser: what the browser calls itself.

    Raises:
        RequestFailed: the body is not JSON (400), or no vote (422).

    Examples:
        >>> body = b'{"id": "00000000-0000-4000-8000-000000000001", "ask": "x", "choice": "1", '
        >>> body += b'"flips": 4, "milliseconds": 5200, '
        >>> body += b'"screen": {"width": 1920, "height": 1080, "pixel_ratio": 1}}'
        >>> read_vote(body, "Firefox").choice
        '1'
        >>> read_vote(body.replace(b'"flips": 4', b'"flips": "4"'), "")
        Traceback (most recent call last):
        roi_ray.web.error_answers.RequestFailed: flips: Input should be a valid integer
    """
    try:
        values = VoteBody.model_validate(parse_json(body))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise request_failed("InvalidRequest", f"{place or 'the vote'}: {first['msg']}") from error
    screen = values.screen
    return Vote(
        id=values.id,
        ask=values.ask,
        choice=values.choice,
        flips=values.flips,
        milliseconds=values.milliseconds,
        screen=Screen(
            screen.width,
            screen.height,
            screen.pixel_ratio,
            escape_line(browser[:MAX_BROWSER])[:MAX_BROWSER],
        ),
    )


def parse_json(body: bytes) -> Any:  # noqa: ANN401
    """Parse JSON by the letter of RFC 8259, and refuse a name that an object has twice.

    Raises:
        RequestFailed: the body is too large (413), or not such JSON (400).
    """
    if len(body) > MAX_BYTES:
        raise request_failed("BodyTooLarge", f"the vote has more than {MAX_BYTES} bytes")
    try:
        return json.loads(
            body.decode(), object_pairs_hook=_make_object, parse_constant=_refuse_constant
        )
    except (ValueError, RecursionError) as error:
        raise _not_json() from error


def _make_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError("a name twice")
    return values


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _not_json() -> RequestFailed:
    return request_failed("InvalidRequest", "the body is not a JSON document", 400)
