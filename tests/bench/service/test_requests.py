"""Requests to the service under load, and the check of its answers."""

import hashlib
import json
from email import message_from_bytes

import numpy as np
import pytest

from roi_ray.bench.service.requests import (
    CONTENT_TYPE,
    build_body,
    check_answer,
    mark_reference,
    name_by_hash,
    no_answer,
)
from roi_ray.imaging.decode import decode_image
from roi_ray.sweep import photographs
from tests.conftest import encode


def test_marked_reference_has_other_bytes_of_the_same_pixels() -> None:
    png = encode(decode_image(photographs()["coffee"].read_bytes())[:64, :64], "PNG")
    first, second = mark_reference(png, "1"), mark_reference(png, "2")
    assert len({png, first, second}) == 3
    for marked in (first, second):
        assert np.array_equal(decode_image(marked), decode_image(png))


def test_body_has_the_files_in_their_order() -> None:
    body = build_body(b"\0PNG\r\n", [("a.jpg", b"JPEG\r\n"), ("b.webp", b"WebP")])
    message = message_from_bytes(f"Content-Type: {CONTENT_TYPE}\n\n".encode() + body)
    parts = message.get_payload()
    fields = [part.get_param("name", header="content-disposition") for part in parts]
    assert fields == ["reference", "image", "image"]
    assert [part.get_filename() for part in parts] == ["reference.png", "a.jpg", "b.webp"]
    assert b"\r\n\r\nJPEG\r\n\r\n--" in body


def test_known_reference_is_named_by_its_hash() -> None:
    name = name_by_hash(b"file")
    assert name == "sha256:" + hashlib.sha256(b"file").hexdigest()
    assert f'name="reference"\r\n\r\n{name}\r\n'.encode() in build_body(name, [])


def answer(*images) -> str:
    return json.dumps({"reference": {"cached": True}, "images": images})


def test_equal_numbers_are_right_whatever_else_the_answer_has() -> None:
    expected = [{"lpips": 0.1 + 0.2, "roi_psnr": None}]
    text = answer({"image": "a", "error_kind": None, "lpips": 0.1 + 0.2, "roi_psnr": None})
    assert check_answer(200, text, expected) == {"cached": True, "wrong": 0}


@pytest.mark.parametrize(
    ("images", "wrong"),
    [
        ([{"lpips": 0.1 + 0.2}, {"roi_lpips": None}], 1),  # differs in the last bit
        ([{"lpips": 0.3}, {}], 1),
        ([{"lpips": 0.3, "error_kind": "WorkerDied"}, {"roi_lpips": None}], 1),
        ([{"lpips": 0.3}], 2),
    ],
)
def test_other_and_missing_numbers_are_wrong(images, wrong) -> None:
    expected = [{"lpips": 0.3}, {"roi_lpips": None}]
    assert check_answer(200, answer(*images), expected)["wrong"] == wrong


def test_errors_have_their_status_and_kind() -> None:
    assert check_answer(429, '{"error_kind": "TooManyRequests"}', []) == {
        "error": "429 TooManyRequests"
    }
    assert check_answer(502, "<html>", []) == {"error": "502, not JSON"}
    assert no_answer("timed out") == {"lost": True, "error": "no answer: timed out"}
