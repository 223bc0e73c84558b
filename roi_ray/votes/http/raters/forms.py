"""Read the forms of the pages: few short fields, never a file."""

from urllib.parse import parse_qsl

from starlette.requests import Request

from roi_ray.web.error_answers import request_failed

FORM_TYPE = "application/x-www-form-urlencoded"
_MAX_FIELDS = 8


async def read_form(request: Request) -> dict[str, str]:
    """Read the fields of a form.

    Raises:
        RequestFailed: the body is no form (415), or a damaged one (400).
    """
    check_content_type(request, FORM_TYPE)
    body = await request.body()
    try:
        fields = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=bool(body),
            errors="strict",
            max_num_fields=_MAX_FIELDS,
        )
    except ValueError as error:
        raise request_failed("InvalidRequest", "the form cannot be read", 400) from error
    form = dict(fields)
    if len(form) < len(fields):
        raise request_failed("InvalidRequest", "the form has a field twice", 400)
    return form


def check_content_type(request: Request, wanted: str) -> None:
    """Check the type of a request's body.

    Raises:
        RequestFailed: it has another type: 415.
    """
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != wanted:
        raise request_failed("UnsupportedMediaType", f"send a body of the type {wanted}")
