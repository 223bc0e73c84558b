"""Tables on a real S3 server: Hive's folders, and what is said of those that are missing."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from roi_ray.errors import ImageReadError, ManifestError
from roi_ray.imaging.load import read_image_file
from roi_ray.io import nearby, storage
from roi_ray.io.allowlist import build_allowlist
from roi_ray.io.manifest import read_manifest
from tests.s3_server import BUCKET

pytestmark = pytest.mark.usefixtures("s3_in_this_process")

SWEEP = pa.table(
    {
        "reference": ["x.png"] * 6,
        "distorted": [f"{row}.jpg" for row in range(6)],
        "codec": ["a/b", "é", None] * 2,
        "quality": pa.array([10, 9] * 3, pa.int32()),
    }
)


@pytest.fixture
def folder(request) -> str:
    return f"s3://{BUCKET}/{request.node.name}"


def put(*uris: str) -> None:
    for uri in uris:
        storage.write_bytes(uri, b"")


def error_of(uri: str) -> str:
    with pytest.raises(ManifestError) as caught:
        read_manifest(uri)
    return str(caught.value)


@pytest.mark.parametrize("part_rows", [4, 100])
def test_partitioned_sweep_is_read_as_from_the_disk(folder, tmp_path, part_rows) -> None:
    local = str(tmp_path / "sweep")
    pq.write_to_dataset(SWEEP, local, partition_cols=["codec", "quality"])
    for path in storage.list_tree(local):
        storage.write_bytes(f"{folder}/{path}", storage.read_bytes(f"{local}/{path}"))
    put(f"{folder}/_old/m.parquet", f"{folder}/images/x.png", f"{folder}/codec=x/_SUCCESS")
    manifest = read_manifest(folder, part_rows=part_rows)
    expected = read_manifest(local, part_rows=part_rows)
    assert (manifest.rows, manifest.base, manifest.sha256) == (6, folder, expected.sha256)
    assert manifest.table.select(SWEEP.column_names).sort_by("distorted").equals(SWEEP)


def test_missing_table_is_compared_with_names_in_its_folder(folder, monkeypatch) -> None:
    put(*(f"{folder}/{name}" for name in ("a.csv", "b.csv", "c.csv", "sweep.parquet", "z/1.csv")))
    there = f"; there is {folder}/sweep.parquet"
    for name in ("sweep", "sweep.csv", "Sweep.parquet"):
        assert error_of(f"{folder}/{name}").endswith(there)
    assert error_of(f"{folder}/y/1.csv").endswith(f"; there is no folder {folder}/y")
    monkeypatch.setattr(nearby, "_MAX_KEYS", 2)
    assert error_of(f"{folder}/sweep").endswith(there)


def test_tables_that_lie_deeper_are_found_beside_many_images(folder, monkeypatch) -> None:
    put(*(f"{folder}/images/{number}.png" for number in range(9)), f"{folder}/tables/deep/m.csv")
    monkeypatch.setattr(nearby, "_MAX_KEYS", 4)
    assert error_of(folder).endswith(
        f"; at least 1 .csv file lies deeper, in tables/deep: name {folder}/tables/deep"
    )


def test_missing_object_with_a_name_that_has_a_fault(folder) -> None:
    put(f"{folder}/sub/w.jpg")
    allowlist = build_allowlist(folder)

    def error_of_image(written: str) -> str:
        with pytest.raises(ImageReadError) as caught:
            read_image_file(f"{folder}/{written}", written, folder, allowlist)
        return str(caught.value)

    exists = f"; {folder}/sub/w.jpg exists: "
    assert error_of_image('"sub/w.jpg"').endswith(exists + "remove the quotes around it")
    assert error_of_image("sub/w.jpg ").endswith(exists + "remove the white space around it")
    assert "exists" not in error_of_image("sub/W.jpg")
