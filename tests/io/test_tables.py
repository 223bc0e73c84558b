"""Tables of several files, limits on their rows, and false footers."""

from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from roi_ray.errors import ManifestError
from roi_ray.io.manifest import read_manifest
from roi_ray.io.tables import find_table_files
from tests.io.rows import MANY, ROWS, write_rows


def test_files_of_a_folder_are_read_in_the_order_of_their_names(tmp_path) -> None:
    for index, name in enumerate(["2.csv", "1.csv"]):
        write_rows(tmp_path / name, {"reference": ["r"], "distorted": [f"d{index}"]})
    (tmp_path / "notes.txt").write_text("not a manifest")
    (tmp_path / "_hidden.csv").write_text("nor this")
    manifest = read_manifest(str(tmp_path))
    assert manifest.table["distorted"].to_pylist() == ["d1", "d0"]
    assert manifest.base == str(tmp_path)


def test_folders_without_tables_or_with_several_formats_are_refused(tmp_path) -> None:
    with pytest.raises(ManifestError, match="contains no .parquet"):
        read_manifest(str(tmp_path))
    write_rows(tmp_path / "a.csv", ROWS)
    write_rows(tmp_path / "b.parquet", ROWS)
    with pytest.raises(ManifestError, match=r"mixes \.csv and \.parquet"):
        read_manifest(str(tmp_path))


@pytest.mark.parametrize("part_rows", [10, 10**6])
def test_table_has_the_columns_of_all_its_files(tmp_path, part_rows) -> None:
    write_rows(tmp_path / "a.parquet", {**MANY, "note": [None] * 40, "quality": [1] * 40})
    second = {
        "reference": MANY["reference"],
        "distorted": [f"c{row}.jpg" for row in range(40)],
        "note": ["x"] * 40,
        "codec": ["jpeg"] * 40,
    }
    write_rows(tmp_path / "b.parquet", second)
    table = read_manifest(str(tmp_path), part_rows=part_rows).table
    types = [str(table.schema.field(name).type) for name in ("note", "quality", "codec")]
    assert types == ["string", "int64", "string"]
    for row in table.to_pylist():
        is_second = row["distorted"].startswith("c")
        assert (row["note"], row["codec"]) == (("x", "jpeg") if is_second else (None, None))
        assert row["quality"] == (None if is_second else 1)


def test_files_with_different_types_in_one_column_are_refused(tmp_path) -> None:
    write_rows(tmp_path / "a.csv", {**ROWS, "quality": [1, 2, 3]})
    write_rows(tmp_path / "b.csv", {**ROWS, "quality": ["lossless"] * 3})
    with pytest.raises(ManifestError, match=r"have different columns: .*quality"):
        read_manifest(str(tmp_path))


def test_repeated_column_is_refused(tmp_path) -> None:
    (tmp_path / "m.csv").write_text("reference,distorted,x,x\na,b,1,2\n")
    with pytest.raises(ManifestError, match=r"column 'x' occurs more than once"):
        read_manifest(str(tmp_path / "m.csv"))


def test_ids_are_text_even_if_one_file_has_numbers(tmp_path) -> None:
    write_rows(tmp_path / "a.parquet", {**ROWS, "pair_id": [1, 2, 3]})
    write_rows(tmp_path / "b.parquet", {**ROWS, "pair_id": ["x", "y", "z"]})
    ids = read_manifest(str(tmp_path)).table["pair_id"].to_pylist()
    assert ids == ["1", "2", "3", "x", "y", "z"]


@pytest.mark.parametrize("part_rows", [1000, 50])
def test_categories_of_all_files_may_exceed_int8_indices(tmp_path, part_rows) -> None:
    for name in "ab":
        rows = [f"{name}{number}" for number in range(100)]
        table = {"reference": rows, "distorted": rows, "image": pd.Categorical(rows)}
        pd.DataFrame(table).to_parquet(tmp_path / f"{name}.parquet")
    manifest = read_manifest(str(tmp_path), part_rows=part_rows)
    images = [image for part in manifest.parts() for image in part["image"].to_pylist()]
    assert sorted(images) == sorted(f"{name}{number}" for name in "ab" for number in range(100))


def test_limit_reads_only_the_first_rows_of_a_parquet_file(tmp_path, monkeypatch) -> None:
    rows = {name: values * 4 for name, values in ROWS.items()}
    rows["distorted"] = [f"{number}.jpg" for number in range(12)]
    uri = write_rows(tmp_path / "m.parquet", rows)
    assert read_manifest(uri, part_rows=5).rows == 12
    monkeypatch.setattr("roi_ray.io.tables.TableFiles._all_rows", None)
    limited = read_manifest(uri, limit=4, part_rows=5)
    assert limited.rows == 4
    assert limited.table["distorted"].to_pylist() == [f"{number}.jpg" for number in range(4)]


@pytest.mark.parametrize("claimed", [7, 120, 10**9])
@pytest.mark.parametrize("part_rows", [10, 10**6])
def test_footer_that_claims_more_rows_than_the_file_has_is_refused(
    tmp_path, claimed, part_rows
) -> None:
    path = tmp_path / "m.parquet"
    write_rows(path, {name: values[:5] for name, values in MANY.items()})
    # Thrift's field 3 of the footer, the number of rows, as a zigzag varint: 5 is 0x0a.
    number = 2 * claimed
    varint = bytearray()
    while number > 0x7F:
        varint.append(number & 0x7F | 0x80)
        number >>= 7
    varint.append(number)
    data = path.read_bytes()
    length = int.from_bytes(data[-8:-4], "little")
    footer = data[-8 - length : -8]
    assert footer.count(b"\x16\x0a\x19") == 1
    footer = footer.replace(b"\x16\x0a\x19", b"\x16" + bytes(varint) + b"\x19")
    path.write_bytes(data[: -8 - length] + footer + len(footer).to_bytes(4, "little") + b"PAR1")
    assert pq.read_metadata(path).num_rows == claimed
    with pytest.raises(ManifestError, match=f"claims {claimed} rows"):
        read_manifest(str(path), part_rows=part_rows)


def test_file_that_compresses_to_less_than_a_byte_per_row_is_accepted(tmp_path) -> None:
    names = [str(number) for number in range(300)]
    rows = {
        "reference": [f"{name}.png" for name in names for _ in names],
        "distorted": [f"{name}.jpg" for _ in names for name in names],
    }
    uri = write_rows(tmp_path / "m.parquet", rows)
    assert Path(uri).stat().st_size < 90_000
    assert read_manifest(uri).rows == 90_000


def test_columns_that_parquet_cannot_hold_are_refused(tmp_path) -> None:
    with pytest.raises(ManifestError, match=r"cannot hold column 'meta' of type struct<>"):
        read_manifest(write_rows(tmp_path / "m.jsonl", {**ROWS, "meta": [{}] * 3}))


def test_columns_and_single_rows_are_read_alone(tmp_path) -> None:
    write_rows(tmp_path / "a.parquet", {"reference": list("abcde"), "x": [1, 2, 3, 4, 5]})
    write_rows(tmp_path / "b.parquet", {"reference": list("fab"), "y": [None] * 3})
    files = find_table_files(str(tmp_path), ["reference"])
    table = files.read_columns(["x", "reference"], categories=["reference"])
    assert table["x"].to_pylist() == [1, 2, 3, 4, 5, None, None, None]
    assert "".join(table["reference"].to_pylist()) == "abcdefab"
    assert str(table["reference"].type).startswith("dictionary")
    rows = files.read_numbered([6, 0, 6]).to_pylist()
    assert [(row["reference"], row["x"]) for row in rows] == [("a", None), ("a", 1), ("a", None)]
    assert files.read_numbered([]).num_rows == 0
    assert files.find_filled(["x", "y", "reference"]) == {"x", "reference"}
