"""JSON documents as answers."""

import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from roi_ray.io.json_values import replace_non_finite
from roi_ray.web.error_answers import ErrorAnswer


def json_response(
    body: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Make a response. Numbers that JSON lacks become null."""
    text = json.dumps(replace_non_finite(dict(body)), allow_nan=False, ensure_ascii=False)
    return Response(
        text.encode(errors="replace"), status, dict(headers or {}), media_type="application/json"
    )


def error_response(answer: ErrorAnswer) -> Response:
    """Make the response that says why there is no other one."""
    return json_response(answer.body, answer.code, answer.all_headers)
