"""Boxes of ISO base media files: sizes of each kind, and files that lie."""

import struct
import time

import pytest

from roi_ray.errors import ImageReadError
from roi_ray.imaging.boxes import Fields, first_of_each, read_boxes
from tests.imaging.heif_files import box


def test_boxes_of_each_kind_of_size() -> None:
    large = struct.pack(">L4sQ", 1, b"mdat", 19) + b"abc"
    last = struct.pack(">L4s", 0, b"free") + b"up to the end"
    assert list(read_boxes(box(b"ftyp", b"avif") + large + box(b"skip") + last)) == [
        (b"ftyp", b"avif"),
        (b"mdat", b"abc"),
        (b"skip", b""),
        (b"free", b"up to the end"),
    ]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0\0\0",
        b"\0\0\0\x08fre",
        struct.pack(">L4s", 7, b"meta"),  # shorter than its own head
        struct.pack(">L4sQ", 1, b"meta", 15),
    ],
)
def test_what_is_no_box_ends_the_walk(data) -> None:
    assert list(read_boxes(data)) == []
    assert list(read_boxes(box(b"free") + data)) == [(b"free", b"")]


def test_truncated_box_has_what_is_left() -> None:
    data = box(b"meta", bytes(100))[:50]
    assert list(read_boxes(data)) == [(b"meta", bytes(42))]
    huge = struct.pack(">L4sQ", 1, b"meta", 1 << 63) + b"abc"
    assert list(read_boxes(huge)) == [(b"meta", b"abc")]


def test_many_boxes_are_refused_in_little_time() -> None:
    start = time.thread_time()
    with pytest.raises(ImageReadError, match="more than 10000 entries"):
        list(read_boxes(box(b"free") * 10**6))
    assert time.thread_time() - start < 2


def test_first_box_of_each_type_counts() -> None:
    assert first_of_each([(b"a", b"1"), (b"b", b"2"), (b"a", b"3")]) == {b"a": b"1", b"b": b"2"}


def test_fields_end_with_their_box() -> None:
    fields = Fields(b"\1\0\0\2\0\x03abc")
    assert fields.version_and_flags() == (1, 2)
    assert list(fields.entries(2)) == [0, 1, 2]
    assert (fields.take(2), fields.rest()) == (b"ab", b"c")
    with pytest.raises(ImageReadError, match="ends early"):
        fields.number(2)
    with pytest.raises(ImageReadError, match="more than 10000 entries"):
        Fields(b"\xff\xff\xff\xff").entries(4)
