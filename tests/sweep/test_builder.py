import importlib.util
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from roi_ray.errors import ImageReadError, RoiRayError, StorageError, UsageError
from roi_ray.imaging.decode import decode_image
from roi_ray.imaging.pixels import bit_depth_of, to_8_bits
from roi_ray.sweep import CODECS, make_sweep, photographs
from tests.conftest import deepen
from tests.imaging import grid

QUALITIES = {"jpeg": (10, 90), "webp": (20,), "jpeg2000": (30,), "avif": (5,)}


@pytest.fixture(scope="module")
def pixels():
    return decode_image(photographs()["chelsea"].read_bytes())[40:140, 100:230]


def test_manifest_describes_the_files(tmp_path, pixels):
    table = make_sweep({"cat": pixels}, str(tmp_path), qualities=QUALITIES)
    assert pq.read_table(tmp_path / "manifest.parquet").equals(table)
    assert table.column_names == ["reference", "distorted", "codec", "quality", "bytes", "bpp"]
    rows = table.to_pylist()
    assert [(row["codec"], row["quality"]) for row in rows] == [
        (codec, quality) for codec in CODECS for quality in QUALITIES[codec]
    ]
    assert rows[-1]["distorted"] == "decoded/avif/cat-q05.avif"
    for row in rows:
        assert row["reference"] == "originals/cat.png"
        data = (tmp_path / row["distorted"]).read_bytes()
        assert row["bytes"] == len(data)
        assert row["bpp"] == pytest.approx(8 * len(data) / (100 * 130))
        assert decode_image(data).shape == pixels.shape
    original = decode_image((tmp_path / "originals/cat.png").read_bytes())
    np.testing.assert_array_equal(original, pixels)


@pytest.mark.parametrize("bit_depth", [10, 16])
def test_reference_of_more_than_8_bits_keeps_its_depth(tmp_path, pixels, bit_depth):
    deep = deepen(pixels, bit_depth)
    make_sweep({"deep": deep}, str(tmp_path / "deep"), qualities=QUALITIES)
    make_sweep({"deep": to_8_bits(deep)}, str(tmp_path / "8"), qualities=QUALITIES)
    table = pq.read_table(tmp_path / "deep" / "manifest.parquet")
    assert set(table["reference"].to_pylist()) == {"originals/deep.ppm"}
    header = f"P6\n130 100\n{2**bit_depth - 1}\n".encode()
    data = (tmp_path / "deep/originals/deep.ppm").read_bytes()
    assert data.startswith(header)
    samples = np.frombuffer(data[len(header) :], ">u2").reshape(deep.shape)
    np.testing.assert_array_equal(samples, deep)
    original = decode_image(data)
    assert bit_depth_of(original) == bit_depth
    np.testing.assert_array_equal(original, deep)
    for distorted in table["distorted"].to_pylist():  # the encoders got it rounded to 8 bits
        deep_file, rounded_file = (tmp_path / kind / distorted for kind in ("deep", "8"))
        assert deep_file.read_bytes() == rounded_file.read_bytes()


@pytest.mark.parametrize("deep", [False, True])
def test_tagged_reference_is_written_and_encoded_as_srgb(tmp_path, deep):
    rows = np.linspace(40, 200, 96)[:, None, None] * np.array([1, 0.8, 0.6])
    samples = np.broadcast_to(rows, (96, 64, 3)) * (257 if deep else 1)
    tagged = grid.png_with_cicp(samples.astype(np.uint16 if deep else np.uint8), "Display P3")
    qualities = {"jpeg": [95]}
    row = make_sweep({"p3": tagged}, str(tmp_path), ["jpeg"], qualities).to_pylist()[0]
    reference = decode_image((tmp_path / row["reference"]).read_bytes())
    np.testing.assert_array_equal(reference, decode_image(tagged))
    # Within the loss of JPEG; the samples of Display P3 would be up to 8 levels away.
    encoded = decode_image((tmp_path / row["distorted"]).read_bytes())
    assert np.abs(encoded.astype(int) - to_8_bits(reference)).max() <= 2
    assert np.abs(encoded - samples / (257 if deep else 1)).max() > 5


def test_array_that_is_no_image_is_refused(tmp_path, pixels):
    with pytest.raises(ImageReadError, match="a uint16 array does not say which value is white"):
        make_sweep({"deep": np.asarray(deepen(pixels, 10))}, str(tmp_path))


def test_paths_bytes_and_pixels_give_the_same_files(tmp_path):
    path = photographs()["chelsea"]
    sources = {"path": path, "bytes": path.read_bytes(), "pixels": decode_image(path.read_bytes())}
    table = make_sweep(sources, str(tmp_path), codecs=["jpeg"], qualities={"jpeg": [50]})
    assert len(set(table["bytes"].to_pylist())) == 1
    assert len({file.read_bytes() for file in (tmp_path / "originals").iterdir()}) == 1


def test_sweep_is_reproducible(tmp_path, pixels):
    for run in ("one", "two"):
        make_sweep({"cat": pixels}, str(tmp_path / run), qualities=QUALITIES)
    for file in (tmp_path / "one").rglob("*.*"):
        again = tmp_path / "two" / file.relative_to(tmp_path / "one")
        assert file.read_bytes() == again.read_bytes()


@pytest.mark.parametrize(
    ("references", "options", "text"),
    [
        (["cat"], {"codecs": ["gif"]}, "unknown codec 'gif'; choose from jpeg, webp"),
        (["cat"], {"qualities": {"jpg": [50]}}, "unknown codec 'jpg'"),
        (["cat"], {"qualities": {"avif": [50, 101]}}, "avif has no quality 101"),
        (["cat"], {"codecs": ["jpeg", "jpeg"]}, "a codec is given twice"),
        (["cat"], {"qualities": {"jpeg": [5, 50, 5]}}, "'jpeg': a quality is given twice"),
        (["cat", "a/b"], {}, "reference 'a/b' cannot be a file name"),
        (["", "cat"], {}, "reference '' cannot be a file name"),
        ([".cat"], {}, "reference '.cat' cannot be a file name"),
    ],
)
def test_unusable_options_write_nothing(tmp_path, pixels, references, options, text):
    with pytest.raises(UsageError, match=text):
        make_sweep(dict.fromkeys(references, pixels), str(tmp_path), **options)
    assert list(tmp_path.iterdir()) == []


def test_unreadable_reference_raises_and_writes_no_manifest(tmp_path):
    with pytest.raises(ImageReadError, match=r"reference 'cat': not an image"):
        make_sweep({"cat": b"meow"}, str(tmp_path))
    with pytest.raises(StorageError, match="not-there"):
        make_sweep({"cat": tmp_path / "not-there.png"}, str(tmp_path))
    assert not (tmp_path / "manifest.parquet").exists()


def test_photographs_are_found_in_scikit_image():
    photos = photographs()
    assert {"astronaut", "chelsea", "coffee"} <= set(photos)
    assert decode_image(photos["astronaut"].read_bytes()).shape == (512, 512, 3)
    assert all(isinstance(path, Path) for path in photos.values())


def test_error_without_scikit_image_names_the_extra(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(RoiRayError, match=r"pip install 'roi-ray\[demo\]'"):
        photographs()
