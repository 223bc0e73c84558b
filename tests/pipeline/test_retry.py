import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from roi_ray import schema
from roi_ray.errors import ManifestError, UsageError
from roi_ray.io.manifest import read_manifest
from roi_ray.pipeline.retry import write_failed, write_missing
from roi_ray.pipeline.status import read_status
from tests.pipeline.outputs import write_manifest, write_output

MASKS = ["m.png", None, "", "s3://bucket/m.png", *[None] * 6]


@pytest.fixture
def manifest(tmp_path):
    return write_manifest(tmp_path / "sweep", mask=MASKS)


@pytest.fixture
def status(tmp_path, manifest):
    """Pairs 4, 5, 8 and 9 are missing; 1 and 2 failed."""
    allow_prefixes = (str(tmp_path / "more"),)
    failed = ["y/1.jpg", "y/2.jpg"]
    return read_status(
        write_output(
            str(tmp_path / "scores"), manifest, [0, 1, 3], failed, allow_prefixes=allow_prefixes
        )
    )


def rows_of(written) -> list[dict]:
    return read_manifest(written.uri).table.to_pylist()


def expected(manifest, *numbers) -> list[dict]:
    """Return rows of the run's manifest, with absolute URIs and unchanged ids."""
    folder = os.path.dirname(manifest)
    rows = read_manifest(manifest).table.to_pylist()
    for row in rows:
        for name in ("reference", "distorted", "mask"):
            if row[name] and "://" not in row[name]:
                row[name] = f"{folder}/{row[name]}"
    return [rows[number] for number in numbers]


def test_failed_pairs_become_a_manifest_of_the_same_files(tmp_path, manifest, status) -> None:
    written = write_failed(status, str(tmp_path / "again" / "failed.parquet"))
    assert written.rows == 2
    assert rows_of(written) == expected(manifest, 1, 2)
    assert pq.read_schema(written.uri).metadata is None
    assert written.allow_prefixes == (str(tmp_path / "sweep"), str(tmp_path / "more"))


def test_failed_pairs_of_a_release_with_other_score_columns_become_a_manifest(
    tmp_path, manifest, monkeypatch
) -> None:
    new = ("reference_bit_depth", "distorted_bit_depth")
    with monkeypatch.context() as earlier:
        scores = [field for field in schema.make_scores_schema() if field.name not in new]
        meanings = {name: text for name, text in schema.MEANINGS.items() if name not in new}
        earlier.setattr(schema, "make_scores_schema", lambda metrics=(): pa.schema(scores))
        earlier.setattr(schema, "MEANINGS", meanings)
        output = write_output(str(tmp_path / "scores"), manifest, [0, 1], ["y/2.jpg"])
    written = write_failed(read_status(output), str(tmp_path / "again" / "failed.parquet"))
    assert rows_of(written) == expected(manifest, 2)


def test_missing_pairs_become_a_manifest(tmp_path, manifest, status) -> None:
    written = write_missing(status, str(tmp_path / "again" / "missing.parquet"))
    assert written.rows == status.missing == 4
    assert rows_of(written) == expected(manifest, 4, 5, 8, 9)
    write_failed(status, str(tmp_path / "again" / "failed.parquet"))
    assert read_manifest(str(tmp_path / "again")).rows == 6  # both at once, as a folder


def test_folder_of_the_new_manifest_needs_no_allow_prefix(tmp_path, status) -> None:
    assert write_failed(status, str(tmp_path / "failed.parquet")).allow_prefixes == ()
    beside = write_failed(status, str(tmp_path / "sweep" / "failed.parquet"))
    assert beside.allow_prefixes == (str(tmp_path / "more"),)


def test_no_file_is_written_without_rows(tmp_path, manifest) -> None:
    status = read_status(write_output(str(tmp_path / "whole"), manifest, range(5)))
    for write in (write_failed, write_missing):
        assert write(status, str(tmp_path / "rest.parquet")).rows == 0
    assert not (tmp_path / "rest.parquet").exists()


def test_shard_with_the_wrong_number_of_rows_is_missing(tmp_path, manifest, status) -> None:
    status.shards[1] = 1
    written = write_missing(status, str(tmp_path / "missing.parquet"))
    assert rows_of(written) == expected(manifest, 2, 3, 4, 5, 8, 9)


def test_missing_pairs_of_a_manifest_in_parts(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(read_manifest, "__defaults__", (None, 10))
    manifest = write_manifest(tmp_path / "sweep", 40)
    shards = [0, 2, 3, 8]
    status = read_status(write_output(str(tmp_path / "scores"), manifest, shards, shard_size=3))
    missing = {row["pair_id"] for row in rows_of(write_missing(status, f"{tmp_path}/m.parquet"))}
    done = set(pq.read_table(status.output)["pair_id"].to_pylist())
    assert done | missing == set(read_manifest(manifest).table["pair_id"].to_pylist())
    assert not done & missing
    assert len(missing) == status.missing > 0


def test_moved_manifest_must_be_named(tmp_path, manifest, status) -> None:
    moved = tmp_path / "moved" / "m.parquet"
    os.renames(manifest, moved)
    with pytest.raises(
        ManifestError, match=r"no such file or folder: .*m.parquet.*name it with --manifest"
    ):
        write_missing(status, str(tmp_path / "missing.parquet"))
    written = write_missing(status, str(tmp_path / "missing.parquet"), str(moved))
    assert rows_of(written) == expected(str(moved), 4, 5, 8, 9)
    written = write_failed(status, str(tmp_path / "failed.parquet"), str(moved))
    assert rows_of(written) == expected(str(moved), 1, 2)
    assert write_failed(status, str(tmp_path / "failed.parquet")).rows == 2  # needs no manifest


def test_another_manifest_is_refused(tmp_path, manifest, status) -> None:
    table = pq.read_table(manifest)
    pq.write_table(table.slice(1), manifest)
    with pytest.raises(ManifestError, match="is not the manifest of this run"):
        write_missing(status, str(tmp_path / "missing.parquet"))
    with pytest.raises(ManifestError, match="is not the manifest of this run"):
        write_failed(status, str(tmp_path / "failed.parquet"), manifest)
    status.run["manifest"] = {}
    with pytest.raises(ManifestError, match="does not record where its manifest was"):
        write_failed(status, str(tmp_path / "failed.parquet"))


@pytest.mark.parametrize(
    ("place", "why"),
    [
        ("rest.csv", "does not end in .parquet"),
        ("scores/rest.parquet", "is inside the output"),
        ("sweep/m.parquet", "would overwrite the run's own manifest"),
    ],
)
def test_harmful_targets_are_refused_and_nothing_is_written(tmp_path, status, place, why) -> None:
    before = sorted(tmp_path.rglob("*"))
    for write in (write_failed, write_missing):
        with pytest.raises(UsageError, match=why):
            write(status, str(tmp_path / place))
    assert sorted(tmp_path.rglob("*")) == before


def test_moved_manifest_is_not_overwritten(tmp_path, manifest, status) -> None:
    moved = str(tmp_path / "moved" / "m.parquet")
    os.makedirs(os.path.dirname(moved))
    os.rename(manifest, moved)
    for write in (write_missing, write_failed):
        with pytest.raises(UsageError, match="would overwrite the run's own manifest"):
            write(status, moved, moved)
    assert read_manifest(moved).rows == 10
