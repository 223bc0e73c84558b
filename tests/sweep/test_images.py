import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from roi_ray.errors import ManifestError
from roi_ray.sweep.images import find_images
from tests.conftest import write


def test_images_of_a_folder_are_found_at_any_depth(tmp_path):
    for name in ("b.png", "a.JPG", "deep/er/c.tif", "notes.txt", ".hidden.png", "_run/x.png"):
        write(tmp_path / "in" / name, b"x")
    images = find_images(str(tmp_path / "in"), str(tmp_path / "out"))
    assert images.names == ("a.JPG", "b.png", "deep/er/c.tif")
    assert images.uris == tuple(f"{tmp_path}/in/{name}" for name in images.names)
    assert (images.base, images.masks) == (f"{tmp_path}/in", None)
    assert find_images(str(tmp_path / "in"), str(tmp_path), limit=2).names == images.names[:2]
    one = find_images(str(tmp_path / "in/b.png"), str(tmp_path / "out"))
    assert (one.base, one.names) == (f"{tmp_path}/in", ("b.png",))


def test_files_of_the_sweep_itself_are_left_out(tmp_path):
    for name in ("a.png", "originals/b.png", "encoded/jpeg/a.jpg", "decoded/mine/a.png"):
        write(tmp_path / name, b"x")
    assert find_images(str(tmp_path), str(tmp_path)).names == ("a.png", "originals/b.png")


def test_files_of_other_sweeps_below_are_left_out(tmp_path):
    for sweep in ("", "old/"):
        for name in (
            "encoded/jpeg/a.jpg",
            "decoded/x/a.png",
            "cells/shard-000000.parquet",
            "a.png",
        ):
            write(tmp_path / sweep / name, b"x")
    write(tmp_path / "encoded.png", b"x")
    names = find_images(str(tmp_path), "/out").names
    assert names == ("a.png", "encoded.png", "old/a.png")


def test_manifest_names_the_images_and_their_masks(tmp_path):
    rows = [
        {"reference": "a.png", "mask": "masks/a.png", "distorted": "x"},
        {"reference": "./a.png", "mask": "masks/a.png", "distorted": "y"},
        {"reference": "/elsewhere/a.png", "mask": None, "distorted": "z"},
        {"reference": "s3://bucket/a:b.png", "mask": "", "distorted": "z"},
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "m.parquet")
    images = find_images(str(tmp_path / "m.parquet"), str(tmp_path / "out"))
    assert images.uris == (f"{tmp_path}/a.png", "/elsewhere/a.png", "s3://bucket/a:b.png")
    assert images.masks == (f"{tmp_path}/masks/a.png", None, None)
    first, *others = images.names
    assert first == "a.png"
    assert [name.partition("-")[2] for name in others] == ["a.png", "a_b.png"]
    assert len(set(images.names)) == 3
    assert find_images(str(tmp_path), "/out").uris == images.uris  # a folder of tables alone

    rows[1]["mask"] = "masks/other.png"
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "m.parquet")
    with pytest.raises(ManifestError, match=r"row 2 gives ./a.png another mask"):
        find_images(str(tmp_path / "m.parquet"), str(tmp_path / "out"))


def test_places_without_images_are_errors(tmp_path):
    with pytest.raises(ManifestError, match="no such file or folder"):
        find_images(str(tmp_path / "nothing"), "/out")
    write(tmp_path / "in/notes.txt", b"x")
    with pytest.raises(ManifestError, match=r"contains no image: none of its 1 files"):
        find_images(str(tmp_path / "in"), "/out")
    write(tmp_path / "m.csv", b"distorted\na.png\n")
    with pytest.raises(ManifestError, match="column 'reference' is missing"):
        find_images(str(tmp_path / "m.csv"), "/out")


def test_long_names_are_shortened_and_stay_different(tmp_path):
    names = [f"{'é' * 110}{end}.png" for end in "ab"]
    for name in names:
        write(tmp_path / "in" / name, b"x")
    short = find_images(str(tmp_path / "in"), "/out").names
    assert len(set(short)) == 2
    assert all(len(name.encode()) <= 220 and name.endswith(".png") for name in short)
