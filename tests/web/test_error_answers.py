"""Every kind of error has a status."""

from roi_ray import errors
from roi_ray.schema import Failure
from roi_ray.web.error_answers import STATUSES, ErrorAnswer, answer_failure


def test_every_error_of_an_image_has_a_status() -> None:
    kinds = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, (errors.ImageError, errors.StorageError))
    }
    of_a_sweep = {"CodecError", "TargetMissed"}
    assert kinds - of_a_sweep - {"ImageError"} <= set(STATUSES)


def test_text_is_one_line_of_a_bounded_length() -> None:
    body = ErrorAnswer("NotFound", "a\nb\x1b[31m" + "x" * 5000).body
    assert body["error"].isprintable() and len(body["error"]) < 1100


def test_kind_without_a_status_is_an_internal_error() -> None:
    answer = answer_failure(Failure("ZeroDivisionError", "secret"))
    assert (answer.code, answer.kind) == (500, "InternalError")
    assert "secret" not in answer.text
