import subprocess
import sys
from concurrent.futures import Future

import numpy as np
import pyarrow as pa
import pytest

from roi_ray.errors import StorageError
from roi_ray.imaging.pixels import bit_depth_of
from roi_ray.io.allowlist import build_allowlist
from roi_ray.pipeline import decode_stage as stage
from roi_ray.pipeline.chunk import Chunk
from roi_ray.pipeline.decode_stage import DecodeLimits, decode_work_items
from roi_ray.pipeline.plan import make_work_items, split_into_shards
from tests.conftest import deepen, encode, encode_16_bits, write


def chunks(tmp_path, rows, max_pixels=10**7, **limits):
    table = pa.Table.from_pylist([{"pair_id": f"p{i}", **row} for i, row in enumerate(rows)])
    items = make_work_items(table, dict(enumerate(split_into_shards(table, 1000))))
    return decoded(items, str(tmp_path), max_pixels, **limits)


def decoded(items, base, max_pixels=10**6, **limits):
    limits = DecodeLimits(max_pixels, **limits)
    return [
        Chunk.from_arrow(part)
        for part in decode_work_items(items, base, build_allowlist(base), limits)
    ]


def errors_of(chunk: Chunk) -> list[str | None]:
    """Return kind and text of each row's failure."""
    return [None if failure is None else str(failure) for failure in chunk.failures]


def rows(reference, *distorted, **more):
    return [{"reference": reference, "distorted": d, **more} for d in distorted]


@pytest.fixture
def tree(tmp_path, photos):
    x = photos["coffee"][:100, :150]
    write(tmp_path / "x.png", encode(x))
    for quality in (10, 50, 90):
        write(tmp_path / f"y{quality}.jpg", encode(x, "JPEG", quality=quality))
    write(tmp_path / "other.png", encode(x[1:]))
    write(tmp_path / "empty.png", b"")
    write(tmp_path / "cut.jpg", encode(x, "JPEG")[:800])
    write(tmp_path / "page.png", b"<html>404</html>")
    write(tmp_path / "mask.png", encode(x[..., 0]))
    write(tmp_path / "small mask.png", encode(x[1:, :, 0]))
    write(tmp_path / "mask of 1.png", encode((x[..., 0] > 99).astype(np.uint8)))
    return tmp_path, x


def test_chunk_holds_the_decoded_pixels(tree) -> None:
    tmp_path, x = tree
    (chunk,) = chunks(tmp_path, rows("x.png", "y10.jpg", "y50.jpg", "x.png"))
    assert (chunk.shard, chunk.rows, chunk.failures) == (0, [0, 1, 2], [None] * 3)
    assert np.array_equal(chunk.pixels, x)
    assert np.array_equal(chunk.images[2], x)
    assert chunk.mask is None


def test_bad_images_fail_only_their_own_rows(tree) -> None:
    tmp_path, _ = tree
    names = ["y10.jpg", "gone.jpg", "empty.png", "cut.jpg", "page.png", "other.png", "y90.jpg"]
    (chunk,) = chunks(tmp_path, rows("x.png", *names))
    assert [image is None for image in chunk.images] == [False, *[True] * 5, False]
    errors = dict(zip(names, errors_of(chunk), strict=True))
    assert errors["gone.jpg"].startswith("ImageReadError: gone.jpg: cannot read ")
    assert errors["gone.jpg"].endswith("gone.jpg: No such file or directory")
    assert errors["empty.png"] == "ImageReadError: empty.png: the file is empty (0 bytes)"
    assert errors["cut.jpg"].startswith("ImageReadError: cut.jpg: cannot be decoded: ")
    assert errors["page.png"].startswith("ImageReadError: page.png: an HTML page, not an image")
    assert errors["other.png"] == (
        "SizeMismatch: other.png: 150 x 99, but the reference is 150 x 100"
    )


@pytest.mark.parametrize(
    ("reference", "error"),
    [
        ("gone.png", "ImageReadError: reference gone.png: cannot read"),
        ("page.png", "ImageReadError: reference page.png: an HTML page, not an image"),
    ],
)
def test_bad_reference_fails_all_rows_of_its_chunk(tree, reference, error) -> None:
    tmp_path, _ = tree
    bad, good = chunks(tmp_path, rows(reference, "y10.jpg", "y50.jpg") + rows("x.png", "y10.jpg"))
    assert bad.pixels is None
    assert bad.images == [None, None]
    assert all(text.startswith(error) for text in errors_of(bad))
    assert good.failures == [None]


def test_image_above_max_pixels_fails(tree) -> None:
    tmp_path, _ = tree
    (chunk,) = chunks(tmp_path, rows("x.png", "y10.jpg"), max_pixels=14_999)
    assert errors_of(chunk)[0].startswith(
        "ImageTooLarge: reference x.png: 150 x 100 is 15000 pixels"
    )


def test_decode_stage_does_not_import_torch() -> None:
    code = "import sys, roi_ray.pipeline.decode_stage; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_masks_are_decoded_and_bad_masks_fail_their_rows(tree) -> None:
    tmp_path, x = tree
    good, none, missing, small, zero_one, photo = chunks(
        tmp_path,
        rows("x.png", "y10.jpg", mask="mask.png")
        + rows("x.png", "y50.jpg", mask="")
        + rows("x.png", "y90.jpg", mask="gone.png")
        + rows("x.png", "y90.jpg", mask="small mask.png")
        + rows("x.png", "y90.jpg", "y50.jpg", mask="mask of 1.png")
        + rows("x.png", "y90.jpg", mask="x.png"),
    )
    assert np.array_equal(good.mask, x[..., 0])
    assert none.mask is None
    assert none.failures == [None]
    assert errors_of(missing)[0].startswith("ImageReadError: mask gone.png: cannot read")
    assert errors_of(small) == [
        "SizeMismatch: mask small mask.png: 150 x 99, but the reference is 150 x 100"
    ]
    assert errors_of(zero_one) == 2 * [
        "UnusableMask: mask mask of 1.png: the largest value of the mask is 1, but 255 is "
        "inside the region; if its values go from 0 to 1, multiply them by 255"
    ]
    assert errors_of(photo)[0].startswith("UnusableMask: mask x.png: the mask has colours, such")
    assert len({each.reference for each in (good, none, missing, small, zero_one, photo)}) == 6


def test_files_outside_the_allowlist_fail_with_not_allowed(tree) -> None:
    tmp_path, _ = tree
    (tmp_path.parent / "secret.png").write_bytes((tmp_path / "x.png").read_bytes())
    forbidden = [
        "file:///etc/passwd",
        "/etc/passwd",
        "../secret.png",
        f"{tmp_path}/../secret.png",
        "http://169.254.169.254/latest/meta-data/",
        "s3://bucket/x.png",
    ]
    (chunk,) = chunks(tmp_path, rows("x.png", "y10.jpg", *forbidden, str(tmp_path / "y50.jpg")))
    assert [image is None for image in chunk.images] == [False, *[True] * 6, False]
    for uri, error in zip(forbidden, errors_of(chunk)[1:-1], strict=True):
        if uri.startswith("http"):
            assert error.startswith(f"NotAllowed: {uri}: only local paths, ")
        else:
            assert error.startswith(f"NotAllowed: {uri}: not below {tmp_path}; ")
            assert "--allow-prefix" in error
    (whole,) = chunks(tmp_path, rows("../secret.png", "y10.jpg"))
    assert errors_of(whole)[0].startswith("NotAllowed: reference ../secret.png: ")
    (masked,) = chunks(tmp_path, rows("x.png", "y10.jpg", mask="/etc/passwd"))
    assert errors_of(masked)[0].startswith("NotAllowed: mask /etc/passwd: ")


def test_many_images_of_one_reference_are_split_into_bounded_chunks(tree) -> None:
    tmp_path, x = tree
    names = [f"y{quality}.jpg" for quality in (10, 50, 90)] * 30
    table = pa.table(
        {
            "shard": pa.array([3], pa.int32()),
            "reference": ["x.png"],
            "mask": pa.nulls(1, pa.string()),
            "rows": [list(range(90))],
            "pair_ids": [[f"p{row}" for row in range(90)]],
            "distorted": [names],
        }
    )
    parts = decoded(table, str(tmp_path), chunk_bytes=5 * x.nbytes)
    assert [len(part.rows) for part in parts] == [5] * 18
    assert [row for part in parts for row in part.rows] == list(range(90))
    assert [part.pair_ids[0] for part in parts[:2]] == ["p0", "p5"]
    assert all(np.array_equal(part.pixels, x) for part in parts)
    assert len({part.reference for part in parts}) == 1


def test_each_image_keeps_its_bit_depth(tree) -> None:
    tmp_path, x = tree
    deep = deepen(x, 16)
    write(tmp_path / "x16.png", encode_16_bits(deep))
    for reference in ("x.png", "x16.png"):
        (chunk,) = chunks(tmp_path, rows(reference, "y90.jpg", "x16.png", "x.png"))
        assert bit_depth_of(chunk.pixels) == (16 if reference == "x16.png" else 8)
        assert [bit_depth_of(image) for image in chunk.images] == [8, 16, 8]
        assert np.array_equal(chunk.images[1], deep)
        assert np.array_equal(chunk.images[2], x)
    # An image of 16 bits has twice the bytes, so that half as many are in a chunk.
    for name, sizes in (("x.png", [4, 4]), ("x16.png", [2, 2, 2, 2])):
        parts = chunks(tmp_path, rows("x.png", *[name] * 8), chunk_bytes=4 * x.nbytes)
        assert [len(part.rows) for part in parts] == sizes


class ImmediateExecutor:
    """An executor that runs a function when it is submitted, without threads."""

    def submit(self, function, *arguments):
        done = Future()
        try:
            done.set_result(function(*arguments))
        except StorageError as error:
            done.set_exception(error)
        return done


@pytest.mark.parametrize(("size", "limit"), [(100, 32), (30 << 20, 2), (100 << 20, 1)])
def test_large_files_are_read_ahead_in_small_numbers(size, limit) -> None:
    content, requested, ahead = bytes(size), [], []

    def read(uri: str) -> bytes:
        requested.append(uri)
        if uri == "5":
            raise StorageError("gone")
        return content

    uris = [str(number) for number in range(60)]
    contents = []
    for reading in stage._read_ahead(uris, read, ImmediateExecutor()):
        contents.append(reading)
        ahead.append(len(requested) - len(contents))
    assert requested == uris
    assert len(contents) == 60
    assert [k for k, each in enumerate(contents) if each.exception()] == [5]
    # Four files are read ahead until the size of the first is known.
    assert ahead[0] == 3
    assert max(ahead[4:]) == limit - 1
