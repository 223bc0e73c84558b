import importlib.util
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from roi_ray.errors import ImageReadError, RoiRayError, StorageError, UsageError
from roi_ray.imaging.decode import decode_image
from roi_ray.sweep import CODECS, make_sweep, photographs

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
    with pytest.raises(ImageReadError):
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
