"""Forms in every shape that clients send them, and in shapes that they should not."""

import asyncio
import hashlib
import tracemalloc
from collections.abc import AsyncIterator

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roi_ray.service.backend import ImageFile
from roi_ray.service.http.forms import MAX_TEXT, MULTIPART, URLENCODED, Form, read_file, read_form
from roi_ray.web.error_answers import RequestFailed

COUNTS = {"reference": 1, "image": 3, "mask": 1}


def read(content_type: str, body: bytes, piece: int = 1 << 20) -> Form:
    """Read a form that arrives in pieces of this many bytes."""
    return asyncio.run(read_form(content_type, cut(body, piece), COUNTS))


async def cut(body: bytes, piece: int) -> AsyncIterator[bytes]:
    for start in range(0, len(body), piece):
        yield body[start : start + piece]


def fail(content_type: str, body: bytes) -> tuple[int, str]:
    """Read a form that cannot be used; return status and text."""
    with pytest.raises(RequestFailed) as caught:
        read(content_type, body)
    answer = caught.value.answer
    assert answer.kind == "InvalidRequest"
    return answer.code, answer.body["error"]


def encode(**fields: object) -> tuple[str, bytes]:
    """Encode a form as httpx does."""
    request = httpx.Request("POST", "http://x", **fields)
    return request.headers["content-type"], request.read()


def file(name: str, data: bytes) -> ImageFile:
    return ImageFile(name, data, hashlib.sha256(data).hexdigest())


@pytest.mark.parametrize("piece", [1, 7, 1 << 16, 1 << 20])
def test_files_and_texts_keep_their_order(piece) -> None:
    data = bytes(range(256)) * 30 + b"\r\n--boundary\r\n--"
    parts = [
        ("image", ("one.png", data)),
        ("image", (None, "s3://bucket/two ü.png")),
        ("reference", ("größe 日本.png", b"")),
        ("image", ("one.png", data[::-1])),
    ]
    form = read(*encode(files=parts), piece)
    assert form == {
        "image": [file("one.png", data), "s3://bucket/two ü.png", file("one.png", data[::-1])],
        "reference": [file("größe 日本.png", b"")],
    }


def test_urlencoded_texts() -> None:
    content_type, body = encode(data={"reference": "/a b/ü&=+.png", "image": ["x", ""]})
    assert content_type == URLENCODED
    assert read(content_type, body) == {"reference": ["/a b/ü&=+.png"], "image": ["x"]}
    assert read(URLENCODED + "; charset=utf-8", b"image=x") == {"image": ["x"]}
    assert read(URLENCODED, b"") == {}


def test_empty_values_without_a_name_are_not_given() -> None:
    """Browsers send them for the fields that were left empty."""
    empty = [("mask", (None, "")), ("reference", ("x.png", b"")), ("image", ("a.png", b"a"))]
    kind, body = encode(files=empty)
    unnamed = body.replace(b'name="mask"', b'name="mask"; filename=""')
    assert unnamed != body
    for sent in (body, unnamed):
        assert read(kind, sent) == {
            "reference": [file("x.png", b"")],
            "image": [file("a.png", b"a")],
        }
    assert read(*encode(data={"reference": "s3://b/x.png", "mask": ""})) == {
        "reference": ["s3://b/x.png"]
    }


def test_file_without_a_name_is_called_by_its_field() -> None:
    body = b'--b\r\nContent-Disposition: form-data; name="image"; filename=""\r\n\r\n1\r\n--b--\r\n'
    assert read(f"{MULTIPART}; boundary=b", body) == {"image": [file("image", b"1")]}


def test_extended_file_name_and_other_headers_are_read() -> None:
    body = (
        b"--b\r\nX: y\r\ncontent-disposition: form-data; filename*=UTF-8''%e2%82%ac.png; "
        b"name=image\r\nContent-Type: image/png\r\n\r\n1\r\n--b--"
    )
    (image,) = read(f"{MULTIPART}; boundary=b", body)["image"]
    assert image.data == b"1"


@pytest.mark.parametrize("content_type", ["", "application/json", "multipart/mixed; boundary=b"])
def test_other_bodies_are_refused(content_type) -> None:
    status, text = fail(content_type, b"{}")
    assert status == 400 and MULTIPART in text and URLENCODED in text


PART = b'Content-Disposition: form-data; name="image"'


@pytest.mark.parametrize(
    ("boundary", "body"),
    [
        ("", b"--b\r\n"),
        ("; boundary=", b"--\r\n"),
        ("; boundary=" + "b" * 300, b""),
        ("; boundary=b", b""),
        ("; boundary=b", b"not a form"),
        ("; boundary=b", b"--c\r\n" + PART + b"\r\n\r\n1\r\n--c--\r\n"),
        ("; boundary=b", b"--b\r\n" + PART + b"\r\n\r\n1\r\n--b\r\n"),
        ("; boundary=b", b"--b\r\n" + PART + b"\r\n\r\n1"),
        ("; boundary=b", b"--b\r\n" + PART),
        ("; boundary=b", b"--b\r\n\r\n1\r\n--b--\r\n"),
        ("; boundary=b", b"--b\r\nContent-Disposition: form-data\r\n\r\n1\r\n--b--\r\n"),
        ("; boundary=b", b"--b\r\n" + b"x" * 10_000 + b": 1\r\n\r\n1\r\n--b--\r\n"),
        ("; boundary=b", b"--b\r\nX: " + b"x" * 10_000 + b"\r\n\r\n1\r\n--b--\r\n"),
        ("; boundary=b", b"--b\r\n" + b"X: y\r\n" * 1000 + PART + b"\r\n\r\n1\r\n--b--\r\n"),
    ],
)
def test_malformed_multipart_body_is_refused(boundary, body) -> None:
    assert fail(MULTIPART + boundary, body)[0] == 400


@pytest.mark.parametrize("body", [b"image", b"image=x&&image=y", b"image=\xff", b"{}"])
def test_malformed_urlencoded_body_is_refused(body) -> None:
    assert fail(URLENCODED, body)[0] == 400


@pytest.mark.parametrize("as_text", [True, False])
def test_fields_are_checked(as_text) -> None:
    def send(*names: str, value: bytes = b"x") -> tuple[int, str]:
        if as_text:
            return fail(URLENCODED, b"&".join(name.encode() + b"=" + value for name in names))
        return fail(*encode(files=[(name, (None, value)) for name in names]))

    assert send("image", "img") == (422, "there is no field 'img'; send reference, image, mask")
    assert send("reference", "reference") == (422, "field reference is given more than once")
    assert send(*["image"] * 4) == (422, "field image is given more than 3 times")
    assert send("x" * 3000)[0] == 422 and len(send("x" * 3000)[1]) < 300
    status, text = send("image", value=b"x" * (MAX_TEXT + 1))
    assert status == 422 and "file name" in text


def test_huge_text_is_refused_before_it_is_kept() -> None:
    """Neither the number of fields nor the length of one makes the service keep megabytes."""

    async def endless(head: bytes, piece: bytes) -> AsyncIterator[bytes]:
        yield head
        while True:
            yield piece

    heads = [
        (URLENCODED, b"image=", b"x" * 65536),
        (URLENCODED, b"", b"image=x&" * 8192),
        (MULTIPART + "; boundary=b", b"--b\r\n" + PART + b"\r\n\r\n", b"x" * 65536),
        (MULTIPART + "; boundary=b", b"", b"--b\r\n" + PART + b"\r\n\r\nx\r\n"),
    ]
    tracemalloc.start()
    for content_type, head, piece in heads:
        with pytest.raises(RequestFailed):
            asyncio.run(read_form(content_type, endless(head, piece), COUNTS))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 << 20


def test_file_is_read_and_hashed() -> None:
    data = bytes(range(256)) * 1000
    assert asyncio.run(read_file("x", cut(data, 1 << 20))) == file("x", data)


def test_other_work_goes_on_while_a_large_body_is_read() -> None:
    async def run() -> int:
        turns = 0

        async def take_turns() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        other = asyncio.create_task(take_turns())
        content_type, body = encode(files={"image": ("x", bytes(8 << 20))})
        await read_form(content_type, cut(body, len(body)), COUNTS)
        other.cancel()
        return turns

    assert asyncio.run(run()) >= 100


WORDS = [b"--b", b"\r\n", PART, b"; filename=x", b"--", b":", b"=", b"&", b"image", b"\0", b"%"]


@settings(max_examples=300, derandomize=True, database=None, deadline=None)
@given(
    st.sampled_from([MULTIPART + "; boundary=b", URLENCODED]),
    st.lists(st.sampled_from(WORDS) | st.binary(max_size=5)).map(b"".join),
    st.integers(1, 20),
)
def test_any_body_is_a_form_or_a_refused_request(content_type, body, piece) -> None:
    try:
        form = read(content_type, body, piece)
    except RequestFailed as error:
        status, fields = error.answer.code, set()
    else:
        status, fields = 200, set(form)
    assert status in (200, 400, 422) and fields <= set(COUNTS)
