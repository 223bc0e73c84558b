"""Folders partitioned in Hive's way, as pyarrow, pandas, polars and DuckDB write them."""

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
import pytest

from roi_ray.errors import ManifestError
from roi_ray.io.manifest import read_manifest
from roi_ray.io.tables import find_table_files, read_table
from tests.io.rows import write_rows

CODECS = ["a/b", "jpeg xl", "é=%", "", None]

SWEEP = pa.table(
    {
        "reference": [f"{codec}.png" for codec in range(5) for _ in range(4)],
        "distorted": [f"{row}.jpg" for row in range(20)],
        "codec": [codec for codec in CODECS for _ in range(4)],
        "quality": pa.array([10, 9, 100, 9] * 5, pa.int32()),
    }
)
ROWS = {row["distorted"]: row for row in SWEEP.to_pylist()}


def write_partitioned(folder, writer: str) -> str:
    keys = ["codec", "quality"]
    if writer == "pyarrow":
        pq.write_to_dataset(SWEEP, folder, partition_cols=keys)
    elif writer == "pandas":
        SWEEP.to_pandas().to_parquet(folder, partition_cols=keys)
    elif writer == "polars":
        pl.from_arrow(SWEEP).write_parquet(pl.PartitionBy(folder, key=keys), mkdir=True)
    else:
        duckdb.from_arrow(SWEEP).write_parquet(str(folder), partition_by=keys)
    return str(folder)


def part(folder, path: str, name: str = "x", **columns) -> None:
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    write_rows(folder / path, {"reference": ["r"], "distorted": [name], **columns})


@pytest.mark.parametrize("writer", ["pyarrow", "pandas", "polars", "duckdb"])
@pytest.mark.parametrize("part_rows", [7, 10**6])
def test_partitions_become_columns(tmp_path, writer, part_rows) -> None:
    uri = write_partitioned(tmp_path / "sweep", writer)
    manifest = read_manifest(uri, part_rows=part_rows)
    table = manifest.table
    assert (manifest.uri, manifest.base, manifest.rows) == (uri, uri, 20)
    # polars writes the columns into the files too.
    assert table.schema.field("codec").type in (pa.string(), pa.large_string())
    assert table.schema.field("quality").type == pa.int32()
    assert {
        row["distorted"]: {n: row[n] for n in row if n != "pair_id"} for row in table.to_pylist()
    } == ROWS
    assert read_manifest(uri, part_rows=part_rows).sha256 == manifest.sha256


def test_rows_and_types_are_those_of_pyarrow(tmp_path) -> None:
    uri = write_partitioned(tmp_path / "sweep", "duckdb")
    expected = pads.dataset(uri, partitioning="hive").to_table().sort_by("distorted")
    table, _ = read_table(uri, ())
    assert table.sort_by("distorted").equals(expected)


def test_order_of_rows_is_that_of_the_folders_names(tmp_path) -> None:
    for number, path in enumerate(["b=2/q=1/y", "b=2/q=1/x", "b=10/z", "b=1/q=9/x", "b=1/x"]):
        part(tmp_path, f"{path}.csv", str(number))
    table, _ = read_table(str(tmp_path), ())
    assert table["distorted"].cast(pa.string()).to_pylist() == ["3", "4", "2", "1", "0"]
    assert table["b"].to_pylist() == [1, 1, 10, 2, 2]
    assert table["q"].to_pylist() == [9, None, None, 1, 1]


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".jsonl"])
def test_numbers_are_text_where_the_column_is_text(tmp_path, suffix) -> None:
    part(tmp_path, f"mask=007/method_a=007/quality=007/m{suffix}")
    manifest = read_manifest(str(tmp_path)).table
    assert (manifest["mask"][0].as_py(), manifest["quality"][0].as_py()) == ("007", 7)
    assert manifest["method_a"][0].as_py() == 7
    table, _ = read_table(str(tmp_path), ("method_a",))
    assert table["method_a"].to_pylist() == ["007"]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["1", "-2"], [-2, 1]),
        (["1", "__HIVE_DEFAULT_PARTITION__"], [1, None]),
        (["__HIVE_DEFAULT_PARTITION__"], [None]),
        (["1", "1.5"], ["1", "1.5"]),
        (["12345678901"], ["12345678901"]),
        (["7", "007"], ["007", "7"]),
    ],
)
def test_types_of_partitions(tmp_path, values, expected) -> None:
    for value in values:
        part(tmp_path, f"k={value}/m.parquet")
    assert read_table(str(tmp_path), ())[0]["k"].to_pylist() == expected


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".jsonl"])
@pytest.mark.parametrize("part_rows", [1, 10**6])
def test_column_that_repeats_the_folder_must_agree(tmp_path, suffix, part_rows) -> None:
    part(tmp_path, f"codec=jpeg/quality=05/m{suffix}", "x", codec=["jpeg"], quality=[5])
    part(tmp_path, f"codec=webp/quality=6/m{suffix}", "y", codec=["webp"], quality=[6])
    table = read_manifest(str(tmp_path), part_rows=part_rows).table.sort_by("distorted")
    assert table["codec"].to_pylist() == ["jpeg", "webp"]
    assert table["quality"].to_pylist() == [5, 6]
    part(tmp_path, f"codec=webp/quality=6/n{suffix}", "z", codec=["avif"], quality=[6])
    message = rf"n{suffix}: its column 'codec' has the value 'avif', but its folder says 'webp'"
    with pytest.raises(ManifestError, match=message):
        read_manifest(str(tmp_path), part_rows=part_rows)


@pytest.mark.parametrize(("column", "folder"), [([None], "6"), ([6], "x"), (["6.0"], "6")])
def test_column_with_a_missing_or_other_value_is_refused(tmp_path, column, folder) -> None:
    part(tmp_path, f"q={folder}/m.parquet", q=column)
    with pytest.raises(ManifestError, match="its column 'q' has the value"):
        read_manifest(str(tmp_path))


def test_categories_may_repeat_the_folder(tmp_path) -> None:
    part(tmp_path, "codec=jpeg/m.parquet", codec=pd.Categorical(["jpeg"]))
    assert read_manifest(str(tmp_path)).table["codec"].to_pylist() == ["jpeg"]


def test_hidden_names_are_skipped_at_every_level(tmp_path) -> None:
    part(tmp_path, "q=1/m.csv")
    for path in ("_q=2/m.csv", "q=1/_old/m.csv", "q=1/.m.csv", ".tmp/q=3/m.csv", "q=1/_x=1/m.csv"):
        part(tmp_path, path)
    (tmp_path / "q=1" / "_SUCCESS").write_text("")
    (tmp_path / "q=1" / "notes.txt").write_text("")
    assert [f.removeprefix(f"{tmp_path}/") for f in find_table_files(str(tmp_path), ()).files] == [
        "q=1/m.csv"
    ]


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        (["q=1/m.csv", "m.csv"], r"tables of its own, such as m.csv, .* such as q=1/m.csv"),
        (["q=1/m.csv", "q=1/old/m.csv"], r"q=1/old/m.csv lies in one that is not"),
        (["q=1/m.csv", "q=1/m.parquet"], r"mixes .csv and .parquet"),
        (["q=1/q=2/m.csv"], r"q=1/q=2/m.csv names 'q' more than once"),
        (["q=%FF/m.csv"], r"not valid UTF-8"),
        (["psnr=1/m.csv"], r"column 'psnr' is one that scoring writes"),
    ],
)
def test_folders_that_contradict_each_other_are_refused(tmp_path, paths, message) -> None:
    for path in paths:
        part(tmp_path, path)
    with pytest.raises(ManifestError, match=message):
        read_manifest(str(tmp_path))


def test_images_beside_the_tables_do_not_matter(tmp_path) -> None:
    part(tmp_path, "q=1/m.csv")
    for path in ("q=1/x.png", "q=1/images/x.png", "images/x.png", "more/m.csv"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text("")
    assert read_manifest(str(tmp_path)).rows == 1
