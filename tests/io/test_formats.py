"""Single files of Parquet, CSV and JSON Lines: values kept exactly and files refused."""

import json

import pytest

from roi_ray.errors import ManifestError
from roi_ray.io.manifest import read_manifest
from tests.io.rows import ROWS, write_rows


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".jsonl", ".ndjson"])
def test_all_formats_give_the_same_rows_and_sha256(tmp_path, suffix) -> None:
    manifest = read_manifest(write_rows(tmp_path / f"sweep{suffix}", ROWS))
    assert manifest.base == str(tmp_path)
    assert manifest.table.column_names[:3] == ["pair_id", "reference", "distorted"]
    assert manifest.table.select(list(ROWS)).to_pydict() == ROWS
    assert manifest.sha256 == read_manifest(write_rows(tmp_path / "again.parquet", ROWS)).sha256


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("m.parquet", b"PAR1 but no more", "cannot be read as .parquet"),
        ("m.csv", b"", "is empty"),
        ("m.csv", b"reference,distorted\n", "no rows"),
        ("m.jsonl", b'{"reference": "a"', "cannot be read as .jsonl"),
        ("m.csv", b"reference,distorted\na,b,c\n", "cannot be read as .csv"),
        ("m.xlsx", b"PK", "ends in none of .parquet, .csv, .jsonl"),
    ],
)
def test_unreadable_file_is_refused(tmp_path, name, content, message) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ManifestError, match=message):
        read_manifest(str(tmp_path / name))


def test_missing_file_is_refused(tmp_path) -> None:
    with pytest.raises(ManifestError, match="no such file or folder: .*nothing.csv"):
        read_manifest(str(tmp_path / "nothing.csv"))
    with pytest.raises(ManifestError, match="no such file or folder: .*nothing"):
        read_manifest(str(tmp_path / "nothing"))


def test_csv_paths_that_look_like_numbers_stay_text(tmp_path) -> None:
    rows = {"reference": ["001", "002"], "distorted": ["1.50", "1e3"]}
    uri = write_rows(tmp_path / "m.csv", rows)
    assert read_manifest(uri).table["distorted"].to_pylist() == ["1.50", "1e3"]


def test_empty_csv_cell_is_an_empty_uri(tmp_path) -> None:
    path = tmp_path / "m.csv"
    path.write_text("reference,distorted\na.png,b.jpg\na.png,\n")
    with pytest.raises(ManifestError, match="row 2 has an empty 'distorted'"):
        read_manifest(str(path))


def test_csv_that_is_not_utf8_is_refused(tmp_path) -> None:
    (tmp_path / "m.csv").write_bytes("reference,distorted,codec\na,b,jp\u00e9g\n".encode("latin-1"))
    with pytest.raises(ManifestError, match="column 'codec' is not UTF-8"):
        read_manifest(str(tmp_path / "m.csv"))


def test_newlines_in_quotes_do_not_end_csv_rows(tmp_path) -> None:
    """The file is large enough for pyarrow to read it in blocks."""
    note = '"aaa\nbb,c,d"'
    lines = [f"r.png,d{i}.png,{note}" for i in range(60_000)]
    (tmp_path / "m.csv").write_text("\n".join(["reference,distorted,note", *lines]) + "\n")
    table = read_manifest(str(tmp_path / "m.csv")).table
    assert len(table) == 60_000
    assert set(table["note"].to_pylist()) == {"aaa\nbb,c,d"}


@pytest.mark.parametrize("content", [b"null\n", b'{"reference": "a", "distorted": "b"}\n  null\n'])
def test_json_line_that_is_null_is_refused(tmp_path, content) -> None:
    (tmp_path / "m.jsonl").write_bytes(content)
    with pytest.raises(ManifestError, match="a line is null"):
        read_manifest(str(tmp_path / "m.jsonl"))


def test_blank_json_lines_are_skipped(tmp_path) -> None:
    """With so many lines, a quadratic search for null lines would not end."""
    (tmp_path / "m.jsonl").write_text("\n" * 200_000 + '{"reference": "a", "distorted": "b"}\n')
    assert read_manifest(str(tmp_path / "m.jsonl")).rows == 1


def test_json_text_that_looks_like_a_date_stays_as_written(tmp_path) -> None:
    row = {"reference": "2024-01-15", "distorted": "2024-01-15T10:00:00", "pair_id": "2024-01-15"}
    (tmp_path / "m.jsonl").write_text(json.dumps({**row, "quality": 80}) + "\n")
    assert read_manifest(str(tmp_path / "m.jsonl")).table.to_pylist() == [{**row, "quality": 80}]
