"""What an AVIF or HEIF file says of its primary image, and files that lie about it."""

import struct
import time

import numpy as np
import pytest

from roi_ray.errors import ImageReadError, ImageTooLarge
from roi_ray.imaging.heif.still import check_sizes, match_profile, read_colours, read_still
from roi_ray.imaging.raster import Cicp
from tests.imaging.heif_files import SRGB, Part, assemble, box, full_box, icc, irot, ispe, nclx

ALPHA = (b"auxC", bytes(4) + b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0")
DEPTH = (b"auxC", bytes(4) + b"urn:mpeg:mpegB:cicp:systems:auxiliary:depth\0")


def grid(rows: int, columns: int, width: int, height: int) -> bytes:
    return struct.pack(">BBBBHH", 0, 0, rows - 1, columns - 1, width, height)


def test_properties_keep_their_order() -> None:
    properties = [ispe(3, 4), irot(1), nclx(1, 13, 6)]
    still = read_still(assemble(Part(b"av01", b"pixels", properties)))
    assert still.primary.kind == b"av01"
    assert still.primary.data == b"pixels"
    assert still.primary.size == (3, 4)
    assert list(still.primary.properties) == properties
    assert still.parts == (still.primary,)


def test_parts_are_what_is_decoded() -> None:
    data = assemble(
        Part(b"grid", grid(1, 2, 90, 60), [ispe(90, 60)], [(b"dimg", [2, 3]), (b"prem", [4])]),
        Part(b"av01", b"left", [ispe(64, 64)]),
        Part(b"av01", b"right", [ispe(64, 64)]),
        Part(b"av01", b"alpha", [ispe(90, 60), ALPHA], [(b"auxl", [1])]),
        Part(b"av01", b"depth", [ispe(90, 60), DEPTH], [(b"auxl", [1])]),
        Part(b"av01", b"small", [ispe(9, 6)], [(b"thmb", [1])]),
        Part(b"av01", b"alpha of a tile", [ispe(64, 64), ALPHA], [(b"auxl", [3])]),
    )
    still = read_still(data)
    payloads = [part.data for part in still.parts]
    assert payloads[1:] == [b"left", b"right", b"alpha of a tile", b"alpha"]
    check_sizes(still, 90 * 60)


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        ([], (None, None, None, None)),
        ([nclx(9, 16, 9)], (Cicp(9, 16), 9, True, None)),
        ([icc(SRGB)], (None, None, None, SRGB)),
        ([(b"colr", b"rICC" + SRGB)], (None, None, None, SRGB)),
        ([icc(SRGB), nclx(12, 13, 6)], (Cicp(12, 13), 6, True, SRGB)),
        ([nclx(12, 13, 6), nclx(9, 16, 9)], (Cicp(12, 13), 6, True, None)),
        ([(b"colr", b"nclc" + bytes(6))], (None, None, None, None)),
    ],
)
def test_colours(properties, expected) -> None:
    item = Part(b"av01", b"", properties)
    assert read_colours(read_still(assemble(item))) == expected
    tiled = Part(b"grid", grid(1, 1, 9, 9), [], [(b"dimg", [2])])
    assert read_colours(read_still(assemble(tiled, item))) == expected
    own = Part(b"grid", grid(1, 1, 9, 9), [nclx(1, 1, 1)], [(b"dimg", [2])])
    assert read_colours(read_still(assemble(own, item))) == (Cicp(1, 1), 1, True, None)


def test_grey_is_repeated_for_a_profile_of_rgb() -> None:
    grey = np.arange(6, dtype=np.uint16).reshape(1, 3, 2)
    assert np.array_equal(match_profile(grey, SRGB), grey[..., [0, 0, 0, 1]])
    assert np.array_equal(match_profile(grey[..., :1], SRGB), grey[..., [0, 0, 0]])
    of_grey = SRGB.replace(b"RGB ", b"GRAY", 1)
    for profile in (None, b"short", of_grey):
        assert match_profile(grey, profile) is grey
    rgba = np.zeros((2, 2, 4), np.uint8)
    assert match_profile(rgba, SRGB) is rgba


def test_sizes_are_checked() -> None:
    def check(*parts: Part) -> None:
        check_sizes(read_still(assemble(*parts)), 1 << 21)

    def tiled(width, height, rows, columns, *tile) -> tuple[Part, Part]:
        data = grid(rows, columns, width, height)
        whole = Part(b"grid", data, [ispe(100, 100)], [(b"dimg", [2])])
        return whole, Part(b"av01", b"", [ispe(*tile)])

    check(Part(b"av01", b"", [ispe(2048, 1024)]))
    check(*tiled(100, 100, 2, 2, 64, 64))
    with pytest.raises(ImageTooLarge):
        check(Part(b"av01", b"", [ispe(2048, 1025)]))
    with pytest.raises(ImageTooLarge):
        check(*tiled(60_000, 60_000, 2, 2, 64, 64))
    with pytest.raises(ImageTooLarge):
        check(*tiled(100, 100, 1, 1, 4096, 4096))
    with pytest.raises(ImageTooLarge):
        check(*tiled(100, 100, 256, 256, 512, 512))
    with pytest.raises(ImageReadError):
        check(Part(b"av01", b"", []))


def test_references_in_a_circle_end() -> None:
    data = assemble(
        Part(b"grid", grid(1, 1, 9, 9), [ispe(9, 9), ALPHA], [(b"dimg", [2]), (b"auxl", [2])]),
        Part(b"grid", grid(1, 1, 9, 9), [ispe(9, 9), ALPHA], [(b"dimg", [1, 2]), (b"auxl", [1])]),
    )
    assert len(read_still(data).parts) == 2


def test_hostile_tables_are_refused_in_little_time() -> None:
    def file(*boxes: bytes) -> bytes:
        pitm = full_box(b"pitm", b"\0\1")
        infe = full_box(b"infe", b"\0\1\0\0av01\0", version=2)
        iinf = full_box(b"iinf", b"\0\1", infe)
        return box(b"ftyp", b"avif", bytes(4)) + full_box(b"meta", pitm, iinf, *boxes)

    reference = box(b"dimg", struct.pack(">HH5000H", 1, 5000, *[1] * 5000))
    location = struct.pack(">HHHLL", 1, 0, 1, 0, 100)
    association = struct.pack(">HB", 1, 255) + bytes(255)
    nowhere = full_box(b"iloc", bytes(4))
    start = time.thread_time()
    for bomb in (
        full_box(b"iref", reference * 3),
        full_box(b"iref", box(b"dimg", b"\0\1\0\0") * 20_000),
        full_box(b"iloc", b"\x44\0", struct.pack(">H", 65_535), location * 65_535),
        full_box(b"iloc", b"\x44\0", b"\0\1\0\1\0\0\x4e\x20", bytes(8) * 20_000),
        nowhere
        + box(b"iprp", box(b"ipco"), full_box(b"ipma", b"\0\0\x27\x10", association * 10_000)),
    ):
        with pytest.raises(ImageReadError, match="more than 10000 entries"):
            read_still(file(bomb))
    everything = struct.pack(">HHH", 1, 0, 100) + struct.pack(">LL", 0, 200) * 100
    with pytest.raises(ImageReadError, match="overlap"):
        read_still(file(full_box(b"iloc", b"\x44\0\0\1", everything)) + bytes(1000))
    assert time.thread_time() - start < 5


def test_truncated_pixels_are_an_error() -> None:
    data = assemble(Part(b"av01", bytes(100), [ispe(9, 9)]))
    with pytest.raises(ImageReadError, match="truncated"):
        read_still(data[:-1])
