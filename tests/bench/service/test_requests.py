"""Requests to the service under load, and the check of its answers."""

import hashlib
import json
from email import message_from_bytes

import numpy as np

from roi_ray.bench.service.requests import (
    CONTENT_TYPE,
    build_body,
    count_wrong,
    mark_reference,
    name_by_hash,
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
    return json.dumps({"images": images})


def test_equal_numbers_are_right_whatever_else_the_answer_has() -> None:
    expected = [{"lpips": 0.1 + 0.2, "roi_psnr": None}]
    text = answer({"image": "a", "error_kind": None, "lpips": 0.1 + 0.2, "roi_psnr": None})
    assert count_wrong(text, expected) == 0


def test_number_that_differs_in_its_last_bit_is_wrong() -> None:
    expected = [{"lpips": 0.3}, {"lpips": 0.5}]
    assert count_wrong(answer({"lpips": 0.1 + 0.2}, {"lpips": 0.5}), expected) == 1


def test_missing_number_failed_image_and_missing_image_are_wrong() -> None:
    expected = [{"lpips": None}, {"lpips": 0.5}]
    assert count_wrong(answer({}, {"lpips": 0.5}), expected) == 1
    assert count_wrong(answer({"lpips": None}, {"error_kind": "WorkerDied"}), expected) == 1
    assert count_wrong(answer({"lpips": None}), expected) == 2
