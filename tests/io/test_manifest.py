"""Columns, ids and parts of a manifest. See test_formats and test_tables for files."""

import json
import subprocess
import sys
import uuid

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from roi_ray.errors import ManifestError
from roi_ray.io.manifest import find_failed, read_manifest
from tests.io.rows import MANY, ROWS, write_rows


def read_ids(uri: str) -> list[str]:
    return read_manifest(uri).table["pair_id"].to_pylist()


def test_computed_ids_are_unique_and_do_not_depend_on_other_rows(tmp_path) -> None:
    ids = read_ids(write_rows(tmp_path / "m.csv", ROWS))
    assert len(set(ids)) == 3
    reversed_rows = {name: values[::-1] for name, values in ROWS.items()}
    assert read_ids(write_rows(tmp_path / "n.csv", reversed_rows)) == ids[::-1]


def test_given_ids_are_kept_as_text(tmp_path) -> None:
    for suffix in (".csv", ".parquet"):
        uri = write_rows(tmp_path / f"m{suffix}", {**ROWS, "pair_id": ["007", "8", "x"]})
        assert read_ids(uri) == ["007", "8", "x"]
    uri = write_rows(tmp_path / "numbers.parquet", {**ROWS, "pair_id": [7, 8, 9]})
    assert read_ids(uri) == ["7", "8", "9"]


def test_ids_may_be_uuids(tmp_path) -> None:
    uuids = [uuid.UUID(int=number) for number in range(2)]
    table = pa.table({"reference": ["a", "a"], "distorted": ["b", "c"]})
    ids = pa.ExtensionArray.from_storage(
        pa.uuid(), pa.array([each.bytes for each in uuids], pa.binary(16))
    )
    pq.write_table(table.append_column("pair_id", ids), tmp_path / "m.parquet")
    assert read_ids(str(tmp_path / "m.parquet")) == list(map(str, uuids))


def test_ids_that_were_read_as_floating_point_are_refused(tmp_path) -> None:
    rows = {**ROWS, "pair_id": [16045690984503111693, 2, 3]}
    with pytest.raises(ManifestError, match="'pair_id' is of type double, which loses digits"):
        read_manifest(write_rows(tmp_path / "m.jsonl", rows))


def test_floating_point_column_without_values_is_accepted_as_masks(tmp_path) -> None:
    """pandas writes a column without values as floating point."""
    uri = write_rows(tmp_path / "m.parquet", {**ROWS, "mask": pa.nulls(3, pa.float64())})
    assert read_manifest(uri).table["mask"].null_count == 3


def test_limit_keeps_the_first_rows(tmp_path) -> None:
    uri = write_rows(tmp_path / "m.csv", ROWS)
    assert read_manifest(uri, 2).table["quality"].to_pylist() == [10, 20]
    assert read_manifest(uri, 2).sha256 != read_manifest(uri).sha256


def test_limit_beyond_the_last_row_keeps_all(tmp_path) -> None:
    uri = write_rows(tmp_path / "m.csv", {"reference": ["a"], "distorted": ["b"]})
    assert read_manifest(uri, 10**19).rows == 1


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ({"reference": ["a"], "dist": ["b"]}, "column 'distorted' is missing; there are 'ref"),
        ({**ROWS, "mse": [1, 2, 3]}, "column 'mse' is one that scoring writes"),
        ({**ROWS, "PSNR": [1, 2, 3]}, "column 'PSNR' is one that scoring writes"),
        ({**ROWS, "error": ["", "", ""]}, "column 'error' needs its companion"),
        ({**ROWS, "distorted": ["x", "", "y"]}, "row 2 has an empty 'distorted'"),
        ({**ROWS, "reference": ["x", "y", None]}, "row 3 has an empty 'reference'"),
        ({**ROWS, "reference": ["  ", "y", "z"]}, "row 1 has an empty 'reference'"),
        ({**ROWS, "pair_id": ["p", "q", "p"]}, "rows 1 and 3 have the same 'pair_id', 'p'"),
        ({**ROWS, "pair_id": ["p", None, "q"]}, "row 2 has no 'pair_id'"),
        (
            {"reference": ["a", "a"], "distorted": ["b", "b"]},
            "rows 1 and 2 are the same pair; drop one, or tell them apart by 'pair_id'",
        ),
        ({"reference": [["a"]], "distorted": ["b"]}, "column 'reference' is of type list"),
        ({"reference": [], "distorted": []}, "no rows"),
    ],
)
def test_bad_row_or_column_is_refused_by_name(tmp_path, rows, message) -> None:
    uri = write_rows(tmp_path / "m.parquet", rows)
    with pytest.raises(ManifestError, match=message) as caught:
        read_manifest(uri)
    assert uri in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"distorted": ["x"] * 40}, "rows 1 and 8 are the same pair"),
        (
            {"pair_id": ["twin" if r in (3, 31) else str(r) for r in range(40)]},
            "rows 4 and 32 have",
        ),
        ({"distorted": [str(r) if r != 33 else " " for r in range(40)]}, "row 34 has an empty"),
        ({"pair_id": [str(r) if r != 33 else None for r in range(40)]}, "row 34 has no 'pair_id'"),
        ({"psnr": [0.0] * 40}, "column 'psnr' is one that scoring writes"),
    ],
)
def test_bad_row_of_a_manifest_in_parts_is_refused_by_its_number(
    tmp_path, monkeypatch, change, message
) -> None:
    monkeypatch.setattr("roi_ray.io.manifest._PIECE_ROWS", 6)
    uri = write_rows(tmp_path / "m.parquet", MANY | change)
    with pytest.raises(ManifestError, match=message):
        read_manifest(uri, part_rows=10)


def test_duplicate_pairs_in_two_files_are_refused_by_their_rows(tmp_path) -> None:
    write_rows(tmp_path / "a.parquet", {"reference": ["a"], "distorted": ["x"], "note": [None]})
    write_rows(tmp_path / "b.parquet", {"reference": ["a"], "distorted": ["x"], "note": ["k"]})
    with pytest.raises(ManifestError, match="rows 1 and 2 are the same pair"):
        read_manifest(str(tmp_path))


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_large_manifest_is_spread_over_parts_by_reference(tmp_path, monkeypatch, suffix) -> None:
    monkeypatch.setattr("roi_ray.io.manifest._PIECE_ROWS", 6)
    uri = write_rows(tmp_path / f"m{suffix}", MANY)
    whole, spread = read_manifest(uri), read_manifest(uri, part_rows=10)
    parts = list(spread.parts())
    assert (spread.rows, len(list(whole.parts()))) == (40, 1)
    assert len(parts) > 1
    references = [set(part["reference"].to_pylist()) for part in parts]
    assert sum(map(len, references)) == len(set.union(*references)) == 7
    assert spread.table.sort_by("quality").equals(whole.table)
    for part in parts:
        assert part["quality"].to_pylist() == sorted(part["quality"].to_pylist())
    assert read_manifest(uri, 25, part_rows=10).rows == 25


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_parts_and_sha256_are_the_same_in_another_process(tmp_path, monkeypatch, suffix) -> None:
    """Python's hashes of strings differ between processes."""
    monkeypatch.setattr("roi_ray.io.manifest._PIECE_ROWS", 6)
    uri = write_rows(tmp_path / f"m{suffix}", MANY)
    code = (
        "import sys; from roi_ray.io import manifest; manifest._PIECE_ROWS = 6\n"
        "m = manifest.read_manifest(sys.argv[1], part_rows=10)\n"
        "print(m.sha256, [p['quality'].to_pylist() for p in m.parts()])"
    )
    other = subprocess.run(
        [sys.executable, "-c", code, uri], check=True, capture_output=True, text=True
    )
    spread = read_manifest(uri, part_rows=10)
    expected = f"{spread.sha256} {[part['quality'].to_pylist() for part in spread.parts()]}"
    assert other.stdout.strip() == expected


def test_sha256_and_parts_equal_those_of_earlier_releases(tmp_path, monkeypatch) -> None:
    """A run of an earlier release can be resumed only if both stay the same."""
    monkeypatch.setattr("roi_ray.io.manifest._PIECE_ROWS", 6)
    uri = write_rows(tmp_path / "m.parquet", MANY)
    whole, spread = read_manifest(uri), read_manifest(uri, part_rows=10)
    assert whole.sha256.startswith("0ffec9736adb0b6e")
    assert spread.sha256.startswith("35c532ea5d2454dc")
    first_rows = [part["quality"].to_pylist()[:3] for part in spread.parts()]
    assert first_rows == [[2, 9, 16], [6, 13, 20], [0, 1, 3], [4, 5, 11]]


@pytest.mark.parametrize("suffix", ["parquet", "csv", "jsonl"])
def test_rows_that_failed_before_may_have_no_distorted_image(tmp_path, suffix):
    rows = [
        {"reference": "a.png", "distorted": "b.png", "error_kind": None, "error": None},
        {"reference": "a.png", "distorted": None, "error_kind": "CodecError", "error": "mine: x"},
    ]
    file = tmp_path / f"m.{suffix}"
    if suffix == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), file)
    elif suffix == "csv":
        text = "reference,distorted,error_kind,error\na.png,b.png,,\na.png,,CodecError,mine: x\n"
        file.write_text(text)
    else:
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    table = read_manifest(str(file)).table
    assert table["error"].to_pylist() == [None, "mine: x"]
    assert table["error_kind"].to_pylist() == [None, "CodecError"]
    assert find_failed(table).to_pylist() == [False, True]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"error": [None, "x"]}, "'error' needs its companion"),
        ({"error": [None, "x"], "Error_Kind": [None, "E"]}, "'Error_Kind' is one that scoring"),
        ({"error": ["x", None], "error_kind": [None, "E"]}, "row 1 has only one of"),
        ({"error": ["x", None], "error_kind": ["E", None]}, "row 2 has an empty 'distorted'"),
    ],
)
def test_errors_of_earlier_steps_must_be_complete(tmp_path, columns, message):
    pairs = {"reference": ["a.png", "b.png"], "distorted": ["c.png", None]}
    pq.write_table(pa.table({**pairs, **columns}), tmp_path / "m.parquet")
    with pytest.raises(ManifestError, match=message):
        read_manifest(str(tmp_path / "m.parquet"))
