import json
import subprocess
import sys
import uuid
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from roi_ray.errors import ManifestError, StorageError
from roi_ray.io.manifest import read_manifest

ROWS = {
    "reference": ["a.png", "a.png", "b.png"],
    "distorted": ["a-1.jpg", "a-2.jpg", "b-1.jpg"],
    "codec": ["jpeg", "jpeg", "webp"],
    "quality": [10, 20, 30],
    "bpp": [0.1, 0.25, 0.5],
}


def write(path: Path, rows: dict[str, list[object]]) -> str:
    if path.suffix == ".parquet":
        pq.write_table(pa.table(rows), path)
    elif path.suffix == ".csv":
        pd.DataFrame(rows).to_csv(path, index=False)
    else:
        path.write_text(
            "".join(
                json.dumps(dict(zip(rows, values, strict=True))) + "\n"
                for values in zip(*rows.values(), strict=True)
            )
        )
    return str(path)


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".jsonl", ".ndjson"])
def test_all_formats_give_the_same_rows(tmp_path, suffix) -> None:
    manifest = read_manifest(write(tmp_path / f"sweep{suffix}", ROWS))
    assert manifest.base == str(tmp_path)
    assert manifest.table.column_names[:3] == ["pair_id", "reference", "distorted"]
    assert manifest.table.select(list(ROWS)).to_pydict() == ROWS
    assert manifest.sha256 == read_manifest(write(tmp_path / "again.parquet", ROWS)).sha256


def test_ids_are_stable_unique_and_not_those_of_other_pairs(tmp_path) -> None:
    ids = read_manifest(write(tmp_path / "m.csv", ROWS)).table["pair_id"].to_pylist()
    assert len(set(ids)) == 3
    turned = {name: values[::-1] for name, values in ROWS.items()}
    assert (
        read_manifest(write(tmp_path / "n.csv", turned)).table["pair_id"].to_pylist() == ids[::-1]
    )


def test_given_ids_are_kept_as_text(tmp_path) -> None:
    for suffix in (".csv", ".parquet"):
        uri = write(tmp_path / f"m{suffix}", {**ROWS, "pair_id": ["007", "8", "x"]})
        assert read_manifest(uri).table["pair_id"].to_pylist() == ["007", "8", "x"]
    uri = write(tmp_path / "numbers.parquet", {**ROWS, "pair_id": [7, 8, 9]})
    assert read_manifest(uri).table["pair_id"].to_pylist() == ["7", "8", "9"]


def test_paths_that_look_like_numbers_stay_text(tmp_path) -> None:
    uri = write(tmp_path / "m.csv", {"reference": ["001", "002"], "distorted": ["1.50", "1e3"]})
    assert read_manifest(uri).table["distorted"].to_pylist() == ["1.50", "1e3"]


def test_a_folder_is_read_in_the_order_of_its_names(tmp_path) -> None:
    for index, name in enumerate(["2.csv", "1.csv"]):
        write(tmp_path / name, {"reference": ["r"], "distorted": [f"d{index}"]})
    (tmp_path / "notes.txt").write_text("not a manifest")
    (tmp_path / "_hidden.csv").write_text("nor this")
    manifest = read_manifest(str(tmp_path))
    assert manifest.table["distorted"].to_pylist() == ["d1", "d0"]
    assert manifest.base == str(tmp_path)


def test_limit_keeps_the_first_rows(tmp_path) -> None:
    uri = write(tmp_path / "m.csv", ROWS)
    assert read_manifest(uri, 2).table["quality"].to_pylist() == [10, 20]
    assert read_manifest(uri, 2).sha256 != read_manifest(uri).sha256


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ({"reference": ["a"], "dist": ["b"]}, "column 'distorted' is missing; there are 'ref"),
        ({**ROWS, "mse": [1, 2, 3]}, "column 'mse' is one that scoring writes"),
        ({**ROWS, "error": ["", "", ""]}, "column 'error' is one that scoring writes"),
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
def test_what_is_wrong_is_said_with_its_row(tmp_path, rows, message) -> None:
    uri = write(tmp_path / "m.parquet", rows)
    with pytest.raises(ManifestError, match=message) as caught:
        read_manifest(uri)
    assert uri in str(caught.value)


def test_an_empty_cell_of_a_csv_is_an_empty_uri(tmp_path) -> None:
    path = tmp_path / "m.csv"
    path.write_text("reference,distorted\na.png,b.jpg\na.png,\n")
    with pytest.raises(ManifestError, match="row 2 has an empty 'distorted'"):
        read_manifest(str(path))


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
def test_unreadable_files(tmp_path, name, content, message) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ManifestError, match=message):
        read_manifest(str(tmp_path / name))


def test_missing_files_and_empty_or_mixed_folders(tmp_path) -> None:
    with pytest.raises(StorageError, match="No such file"):
        read_manifest(str(tmp_path / "nothing.csv"))
    with pytest.raises(ManifestError, match="contains no .parquet"):
        read_manifest(str(tmp_path))
    write(tmp_path / "a.csv", ROWS)
    write(tmp_path / "b.parquet", ROWS)
    with pytest.raises(ManifestError, match=r"mixes \.csv and \.parquet"):
        read_manifest(str(tmp_path))


MANY = {
    "reference": [f"{row % 7}.png" for row in range(40)],
    "distorted": [f"{row}.jpg" for row in range(40)],
    "quality": list(range(40)),
}


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_a_large_manifest_is_spread_over_parts(tmp_path, monkeypatch, suffix) -> None:
    monkeypatch.setattr("roi_ray.io.manifest._PIECE_ROWS", 6)
    uri = write(tmp_path / f"m{suffix}", MANY)
    whole, spread = read_manifest(uri), read_manifest(uri, part_rows=10)
    parts = list(spread.parts())
    assert (spread.rows, len(list(whole.parts()))) == (40, 1)
    assert len(parts) > 1
    references = [set(part["reference"].to_pylist()) for part in parts]
    assert sum(map(len, references)) == len(set.union(*references)) == 7
    assert spread.table.sort_by("quality").equals(whole.table)
    for part in parts:
        assert part["quality"].to_pylist() == sorted(part["quality"].to_pylist())
    # The same in another process, whose hashes of texts differ.
    code = (
        "import sys; from roi_ray.io import manifest; manifest._PIECE_ROWS = 6\n"
        "m = manifest.read_manifest(sys.argv[1], part_rows=10)\n"
        "print(m.sha256, [p['quality'].to_pylist() for p in m.parts()])"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, uri], check=True, capture_output=True, text=True
    )
    expected = f"{spread.sha256} {[part['quality'].to_pylist() for part in parts]}"
    assert run.stdout.strip() == expected
    assert read_manifest(uri, 25, part_rows=10).rows == 25


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
def test_what_is_wrong_in_a_large_manifest_is_said_with_its_row(
    tmp_path, monkeypatch, change, message
) -> None:
    monkeypatch.setattr("roi_ray.io.manifest._PIECE_ROWS", 6)
    uri = write(tmp_path / "m.parquet", MANY | change)
    with pytest.raises(ManifestError, match=message):
        read_manifest(uri, part_rows=10)


@pytest.mark.parametrize("part_rows", [10, 10**6])
def test_files_of_a_manifest_have_all_columns_together(tmp_path, part_rows) -> None:
    write(tmp_path / "a.parquet", {**MANY, "note": [None] * 40, "quality": [1] * 40})
    more = {
        "reference": MANY["reference"],
        "distorted": [f"c{row}.jpg" for row in range(40)],
    }
    write(tmp_path / "b.parquet", {**more, "note": ["x"] * 40, "codec": ["jpeg"] * 40})
    manifest = read_manifest(str(tmp_path), part_rows=part_rows)
    table = pa.concat_tables(list(manifest.parts()))
    assert [str(table.schema.field(n).type) for n in ("note", "quality", "codec")] == [
        "string",
        "int64",
        "string",
    ]
    for row in table.to_pylist():
        later = row["distorted"].startswith("c")
        assert (row["note"], row["codec"]) == (("x", "jpeg") if later else (None, None))
        assert row["quality"] == (None if later else 1)


def test_twins_in_files_of_other_columns_are_named(tmp_path) -> None:
    write(tmp_path / "a.parquet", {"reference": ["a"], "distorted": ["x"], "note": [None]})
    write(tmp_path / "b.parquet", {"reference": ["a"], "distorted": ["x"], "note": ["k"]})
    with pytest.raises(ManifestError, match="rows 1 and 2 are the same pair"):
        read_manifest(str(tmp_path))


def test_ids_that_lost_digits_are_refused(tmp_path) -> None:
    rows = {**ROWS, "pair_id": [16045690984503111693, 2, 3]}
    with pytest.raises(ManifestError, match="'pair_id' is of type double, which loses digits"):
        read_manifest(write(tmp_path / "m.jsonl", rows))
    # As pandas writes a column without any value.
    rows = {**ROWS, "mask": pa.nulls(3, pa.float64())}
    assert read_manifest(write(tmp_path / "m.parquet", rows)).table["mask"].null_count == 3


def test_a_csv_of_another_encoding_is_refused(tmp_path) -> None:
    (tmp_path / "m.csv").write_bytes("reference,distorted,codec\na,b,jp\u00e9g\n".encode("latin-1"))
    with pytest.raises(ManifestError, match="column 'codec' is not UTF-8"):
        read_manifest(str(tmp_path / "m.csv"))


@pytest.mark.parametrize("claimed", [7, 120, 10**9])
@pytest.mark.parametrize("part_rows", [10, 10**6])
def test_a_footer_that_claims_rows_that_are_not_there(tmp_path, claimed, part_rows) -> None:
    path = tmp_path / "m.parquet"
    write(path, {name: values[:5] for name, values in MANY.items()})
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
    with pytest.raises(ManifestError, match="claim"):
        read_manifest(str(path), part_rows=part_rows)


@pytest.mark.parametrize("content", [b"null\n", b'{"reference": "a", "distorted": "b"}\n  null\n'])
def test_a_line_that_is_null(tmp_path, content) -> None:
    (tmp_path / "m.jsonl").write_bytes(content)
    with pytest.raises(ManifestError, match="a line is null"):
        read_manifest(str(tmp_path / "m.jsonl"))


def test_few_names_in_many_combinations_are_not_too_many_rows(tmp_path) -> None:
    names = [str(number) for number in range(300)]
    rows = {
        "reference": [f"{name}.png" for name in names for _ in names],
        "distorted": [f"{name}.jpg" for _ in names for name in names],
    }
    uri = write(tmp_path / "m.parquet", rows)
    assert Path(uri).stat().st_size < 90_000
    assert read_manifest(uri).rows == 90_000


def test_what_cannot_be_carried_is_found_before_anything_is_scored(tmp_path) -> None:
    with pytest.raises(ManifestError, match=r"cannot hold column 'meta' of type struct<>"):
        read_manifest(write(tmp_path / "m.jsonl", {**ROWS, "meta": [{}] * 3}))
    views = pa.table({**ROWS, "note": pa.array(["x"] * 3, pa.string_view())})
    pq.write_table(views, tmp_path / "m.parquet")
    with pytest.raises(ManifestError, match=r"cannot hold column 'note' of type string_view"):
        read_manifest(str(tmp_path / "m.parquet"))


def test_files_that_disagree_are_told_apart_in_words(tmp_path) -> None:
    write(tmp_path / "a.csv", {**ROWS, "quality": [1, 2, 3]})
    write(tmp_path / "b.csv", {**ROWS, "quality": ["lossless"] * 3})
    with pytest.raises(ManifestError, match=r"have different columns: .*quality"):
        read_manifest(str(tmp_path))
    (tmp_path / "twice").mkdir()
    (tmp_path / "twice" / "m.csv").write_text("reference,distorted,x,x\na,b,1,2\n")
    with pytest.raises(ManifestError, match=r"column 'x' occurs more than once"):
        read_manifest(str(tmp_path / "twice"))


def test_ids_are_text_whatever_each_file_takes_them_for(tmp_path) -> None:
    write(tmp_path / "a.parquet", {**ROWS, "pair_id": [1, 2, 3]})
    write(tmp_path / "b.parquet", {**ROWS, "pair_id": ["x", "y", "z"]})
    ids = read_manifest(str(tmp_path)).table["pair_id"].to_pylist()
    assert ids == ["1", "2", "3", "x", "y", "z"]


def test_the_first_rows_are_read_without_the_others(tmp_path, monkeypatch) -> None:
    many = {name: values * 4 for name, values in ROWS.items()}
    many["distorted"] = [f"{number}.jpg" for number in range(12)]
    uri = write(tmp_path / "m.parquet", many)
    whole = read_manifest(uri, part_rows=5)
    monkeypatch.setattr("roi_ray.io.tables.TableFiles._all_rows", None)
    some = read_manifest(uri, limit=4, part_rows=5)
    assert some.rows == 4
    assert some.table["distorted"].to_pylist() == [f"{number}.jpg" for number in range(4)]
    assert whole.rows == 12


def test_many_blank_lines_are_passed_over_in_no_time(tmp_path) -> None:
    (tmp_path / "m.jsonl").write_text("\n" * 200_000 + '{"reference": "a", "distorted": "b"}\n')
    assert read_manifest(str(tmp_path / "m.jsonl")).rows == 1


def test_line_ends_within_quotes_are_no_ends_of_rows(tmp_path) -> None:
    """Of a file that is large enough to be read in blocks."""
    note = '"aaa\nbb,c,d"'
    lines = [f"r.png,d{i}.png,{note}" for i in range(60_000)]
    (tmp_path / "m.csv").write_text("\n".join(["reference,distorted,note", *lines]) + "\n")
    table = read_manifest(str(tmp_path / "m.csv")).table
    assert len(table) == 60_000
    assert set(table["note"].to_pylist()) == {"aaa\nbb,c,d"}


def test_what_looks_like_a_date_stays_the_text_that_it_is(tmp_path) -> None:
    row = {"reference": "2024-01-15", "distorted": "2024-01-15T10:00:00", "pair_id": "2024-01-15"}
    (tmp_path / "m.jsonl").write_text(json.dumps({**row, "quality": 80}) + "\n")
    (found,) = read_manifest(str(tmp_path / "m.jsonl")).table.to_pylist()
    assert found == {**row, "quality": 80}


@pytest.mark.parametrize("part_rows", [1000, 50])
def test_categories_of_several_files_are_too_many_for_a_byte(tmp_path, part_rows) -> None:
    for name in "ab":
        rows = [f"{name}{number}" for number in range(100)]
        table = {"reference": rows, "distorted": rows, "image": pd.Categorical(rows)}
        pd.DataFrame(table).to_parquet(tmp_path / f"{name}.parquet")
    manifest = read_manifest(str(tmp_path), part_rows=part_rows)
    images = [image for part in manifest.parts() for image in part["image"].to_pylist()]
    assert sorted(images) == sorted(f"{name}{number}" for name in "ab" for number in range(100))


def test_no_case_makes_another_name_of_a_score(tmp_path) -> None:
    uri = write(tmp_path / "m.csv", {"reference": ["a"], "distorted": ["b"], "PSNR": [1]})
    with pytest.raises(ManifestError, match="column 'PSNR' is one that scoring writes"):
        read_manifest(uri)


def test_ids_may_be_uuids(tmp_path) -> None:
    uuids = [uuid.UUID(int=number) for number in range(2)]
    table = pa.table({"reference": ["a", "a"], "distorted": ["b", "c"]})
    ids = pa.ExtensionArray.from_storage(
        pa.uuid(), pa.array([one.bytes for one in uuids], pa.binary(16))
    )
    pq.write_table(table.append_column("pair_id", ids), tmp_path / "m.parquet")
    manifest = read_manifest(str(tmp_path / "m.parquet"))
    assert manifest.table["pair_id"].to_pylist() == [str(one) for one in uuids]


def test_a_limit_beyond_all_rows(tmp_path) -> None:
    uri = write(tmp_path / "m.csv", {"reference": ["a"], "distorted": ["b"]})
    assert read_manifest(uri, 10**19).rows == 1
