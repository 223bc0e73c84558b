"""Manifests with rows that failed in an earlier step."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from roi_ray.errors import OutputError
from roi_ray.pipeline.options import Options
from roi_ray.pipeline.retry import write_failed
from roi_ray.pipeline.run import score_manifest
from roi_ray.pipeline.status import read_status
from tests.conftest import encode, write
from tests.pipeline.counting import count, make_rows

LOCAL = Options(device="cpu", engine="local", shard_size=3)


def fail(row: dict, kind: str = "CodecError", text: str = "cjxl: exit code 1", **values) -> dict:
    return row | {"error_kind": kind, "error": text} | values


def write_rows(path: Path, rows: list[dict]) -> str:
    columns = {name: [row.get(name) for row in rows] for name in {**rows[0], **rows[-1]}}
    pq.write_table(pa.table(columns), path)
    return str(path)


@pytest.fixture
def rows():
    """Ten rows, of which four failed before: one in a shard, and all of another shard."""
    rows = [row | {"error_kind": None, "error": None} for row in make_rows(5)]
    rows[1] = fail(rows[1], distorted=None)
    # Kinds that would stop the job, or be retried, if they were of its own.
    rows[6] = fail(rows[6], "AccessError", "denied")
    rows[7] = fail(rows[7], "StorageUnavailable", "no answer")
    rows[9] = rows[9] | {"distorted": "bad"}
    return rows


def test_rows_that_failed_before_keep_their_error_and_are_not_computed(rows, tmp_path) -> None:
    manifest, output = write_rows(tmp_path / "m.parquet", rows), tmp_path / "output"
    counted = count(manifest, str(output), shard_size=2)
    assert sorted(counted.computed) == sorted(rows[k]["pair_id"] for k in (0, 2, 3, 4, 5, 8, 9))
    assert (counted.completion.failed, counted.completion.computed) == (4, 10)
    table = pq.read_table(output)
    assert table.column_names == [
        *("pair_id", "reference", "distorted", "codec", "bpp", "letters", "error_kind", "error")
    ]
    stored = {row.pop("pair_id"): row for row in table.to_pylist()}
    for row in rows:
        values = stored[row["pair_id"]]
        assert values["distorted"] == row["distorted"]
        if row["error"]:
            assert (values["error_kind"], values["error"]) == (row["error_kind"], row["error"])
            assert values["letters"] is None
    assert stored["4 webp"]["error_kind"] == "ImageReadError"
    status = read_status(str(output))
    assert {name: kind.rows for name, kind in status.kinds.items()} == {
        "CodecError": 1,
        "AccessError": 1,
        "StorageUnavailable": 1,
        "ImageReadError": 1,
    }
    # Only the pair that failed in this step can be tried again.
    failed = pq.read_table(write_failed(status, str(tmp_path / "again/failed.parquet")).uri)
    assert failed["pair_id"].to_pylist() == ["4 webp"]
    assert failed.column_names == ["pair_id", "reference", "distorted", "codec", "bpp"]
    assert not count(manifest, str(output), shard_size=2).has_engine


def test_manifest_in_which_every_row_failed_before_needs_no_engine_work(tmp_path) -> None:
    rows = [fail(row, distorted=None) for row in make_rows(4)]
    counted = count(write_rows(tmp_path / "m.parquet", rows), str(tmp_path / "output"))
    assert (counted.computed, counted.completion.failed) == ([], 8)


def test_output_with_rows_that_failed_before_grows(rows, tmp_path) -> None:
    path, output = tmp_path / "m.parquet", tmp_path / "output"
    count(write_rows(path, rows), str(output))
    more = [row | {"error_kind": None, "error": None} for row in make_rows(7)[10:]]
    more[1] = fail(more[1], distorted=None)
    counted = count(write_rows(path, rows + more), str(output))
    assert len(counted.computed) == 3
    assert counted.completion.failed == read_status(str(output)).failed == 5


def test_output_grows_by_the_first_rows_that_failed_before(tmp_path) -> None:
    """The manifest gets its columns of errors only then."""
    path, output = tmp_path / "m.parquet", tmp_path / "output"
    count(write_rows(path, make_rows(3)), str(output))
    rows = make_rows(4)
    rows[7] = fail(rows[7])
    assert count(write_rows(path, rows), str(output)).completion.failed == 1
    assert len(pq.read_table(output)) == 8


@pytest.mark.parametrize(
    ("number", "values", "reason"),
    [
        (1, {"error_kind": None, "error": None}, "'distorted' was None, and is 'x' now"),
        (6, {"error_kind": None, "error": None}, "'error_kind' was 'AccessError', and is None now"),
        (0, {"error_kind": "E", "error": "now"}, "'error_kind' was None, and is 'E' now"),
        (9, {"error_kind": "E", "error": "now"}, "'error_kind' was None, and is 'E' now"),
    ],
)
def test_row_whose_error_has_changed_is_refused(rows, tmp_path, number, values, reason) -> None:
    path, output = tmp_path / "m.parquet", tmp_path / "output"
    count(write_rows(path, rows), str(output))
    rows[number] = rows[number] | values
    rows[number]["distorted"] = rows[number]["distorted"] or "x"
    with pytest.raises(OutputError, match=reason):
        count(write_rows(path, rows), str(output))


def test_score_keeps_rows_that_failed_before(photos, tmp_path) -> None:
    photo = photos["coffee"][:64, :80]
    write(tmp_path / "x.png", encode(photo))
    write(tmp_path / "y.jpg", encode(photo, "JPEG", quality=50))
    rows = [
        {"pair_id": "good", "reference": "x.png", "distorted": "y.jpg", "error_kind": None},
        {"pair_id": "failed", "reference": "x.png", "distorted": None, "error_kind": "CodecError"},
    ]
    rows = [row | {"error": row["error_kind"] and "exit code 1"} for row in rows]
    manifest, output = write_rows(tmp_path / "m.parquet", rows), tmp_path / "scores"
    summary = score_manifest(manifest, str(output), options=LOCAL)
    assert (summary.rows, summary.failed, summary.scored) == (2, 1, 2)
    assert summary.examples == ("CodecError: exit code 1",)
    good, failed = sorted(pq.read_table(output).to_pylist(), key=lambda row: row["error"] or "")
    assert 20 < good["psnr"] < 60 and good["error"] is None
    assert (failed["error"], failed["psnr"]) == ("exit code 1", None)
