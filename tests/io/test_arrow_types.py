"""Columns as polars, DuckDB and pandas write them: read by their values, whatever their type."""

import datetime
import decimal
import uuid

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from roi_ray.errors import ManifestError
from roi_ray.io.arrow_types import with_common_types
from roi_ray.io.manifest import read_manifest
from roi_ray.io.tables import read_table
from tests.io.rows import ROWS

UUIDS = [str(uuid.UUID(int=number)) for number in range(3)]

POLARS = pl.DataFrame(
    {
        **ROWS,
        "mask": [None, None, "m.png"],
        "note": ["x", None, "longer than twelve bytes"],
        "blob": [b"1", None, b"3"],
        "tags": [["u", "v"], None, []],
        "meta": [{"name": "s", "sizes": [1]}, None, {"name": None, "sizes": None}],
        "price": pl.Series([decimal.Decimal("1.5"), None, None], dtype=pl.Decimal(9, 2)),
        "nothing": [None] * 3,
        "day": [datetime.date(2026, 1, 2)] * 3,
    }
)


def with_arrow_schema_of_polars(path, frame: pl.DataFrame = POLARS) -> str:
    """Write a frame as `frame.to_arrow()` has it, with views, through pyarrow."""
    table = frame.to_arrow(compat_level=pl.CompatLevel.newest())
    assert table.schema.field("reference").type == pa.string_view()
    pq.write_table(table, path)
    return str(path)


@pytest.mark.parametrize("part_rows", [2, 10**6])
def test_views_of_polars_are_read_like_text(tmp_path, part_rows) -> None:
    uri = with_arrow_schema_of_polars(tmp_path / "m.parquet")
    rows = sorted(read_manifest(uri, part_rows=part_rows).table.to_pylist(), key=lambda r: r["bpp"])
    assert [{name: row[name] for name in POLARS.columns} for row in rows] == POLARS.to_dicts()


@pytest.mark.parametrize("write", ["polars", "polars through pyarrow"])
def test_all_readers_can_read_the_columns_that_are_carried_through(tmp_path, write) -> None:
    if write == "polars":
        POLARS.write_parquet(tmp_path / "m.parquet")
    else:
        with_arrow_schema_of_polars(tmp_path / "m.parquet")
    table = read_manifest(str(tmp_path / "m.parquet")).table
    assert "view" not in str(table.schema)
    pq.write_table(table, tmp_path / "out.parquet")
    expected = POLARS.to_dicts()
    for rows in (
        pl.read_parquet(tmp_path / "out.parquet").to_dicts(),
        duckdb.read_parquet(str(tmp_path / "out.parquet")).to_arrow_table().to_pylist(),
        pq.read_table(tmp_path / "out.parquet").take([0, 1, 2]).to_pylist(),
    ):
        assert [{name: row[name] for name in POLARS.columns} for row in rows] == expected


def test_categories_and_enumerations_are_text_where_text_is_needed(tmp_path) -> None:
    frame = POLARS.with_columns(
        pl.col("reference").cast(pl.Categorical),
        pl.col("distorted").cast(pl.Enum(ROWS["distorted"])),
        pl.col("codec").cast(pl.Categorical),
    )
    frame.write_parquet(tmp_path / "m.parquet")
    table = read_manifest(str(tmp_path / "m.parquet")).table
    assert [table.schema.field(name).type for name in ROWS][:2] == [pa.string()] * 2
    assert table.select(list(ROWS)).to_pydict() == ROWS


def test_types_of_duckdb(tmp_path) -> None:
    with duckdb.connect() as database:
        database.execute("CREATE TYPE codec AS ENUM ('jpeg', 'webp')")
        database.execute(
            """COPY (
                SELECT 'r.png' AS reference, (i || '.jpg') AS distorted, 'webp'::codec AS codec,
                    ('00000000-0000-0000-0000-00000000000' || i)::UUID AS pair_id,
                    i::HUGEINT AS number, i::DECIMAL(4, 1) AS price, '{"a": 1}'::JSON AS meta,
                    'ab'::BLOB AS blob, ['x'] AS tags, MAP {'k': 'v'} AS more, NULL AS nothing
                FROM range(3) AS rows(i)
            ) TO '%s'"""
            % (tmp_path / "m.parquet")
        )
    table = read_manifest(str(tmp_path / "m.parquet")).table
    assert table["pair_id"].to_pylist() == UUIDS
    assert table["codec"].to_pylist() == ["webp"] * 3
    assert table["number"].to_pylist() == [0, 1, 2]
    pq.write_table(table, tmp_path / "out.parquet")
    written = duckdb.read_parquet(str(tmp_path / "out.parquet"))
    assert len(written.fetchall()) == len(pl.read_parquet(tmp_path / "out.parquet")) == 3


def test_arrow_output_of_duckdb_with_list_views_and_short_decimals(tmp_path) -> None:
    with duckdb.connect() as database:
        for setting in ("produce_arrow_string_view = true", "arrow_output_list_view = true"):
            database.execute(f"SET {setting}")
        database.execute("SET arrow_output_version = '1.5'")
        table = database.sql(
            """SELECT 'r.png' AS reference, (i || '.jpg') AS distorted,
                CASE WHEN i < 2 THEN ['x', NULL] END AS tags, i::DECIMAL(4, 1) AS price
            FROM range(3) AS rows(i)"""
        ).to_arrow_table()
    types = [str(kind) for kind in table.schema.types]
    assert types[0] == "string_view" and types[2].startswith("list_view<")
    assert types[3] == "decimal32(4, 1)"
    pq.write_table(table, tmp_path / "m.parquet")
    table = read_manifest(str(tmp_path / "m.parquet")).table
    assert table["tags"].to_pylist() == [["x", None], ["x", None], None]
    assert table.schema.field("tags").type == pa.list_(pa.field("element", pa.string()))
    assert table.schema.field("price").type == pa.decimal128(4, 1)


@pytest.mark.parametrize("kind", ["string", "string[pyarrow]", "large", "view", "category"])
def test_types_of_pandas(tmp_path, kind) -> None:
    dtypes = {"large": pd.ArrowDtype(pa.large_string()), "view": pd.ArrowDtype(pa.string_view())}
    frame = pd.DataFrame(ROWS).astype({"quality": "Int64", "bpp": "Float64"})
    for name in ("reference", "distorted", "codec"):
        frame[name] = frame[name].astype(dtypes.get(kind, kind))
    frame.to_parquet(tmp_path / "m.parquet")
    table = read_manifest(str(tmp_path / "m.parquet")).table
    assert table.select(list(ROWS)).to_pydict() == ROWS


def test_numbers_beyond_64_bits_name_the_remedy(tmp_path) -> None:
    pl.DataFrame(ROWS).cast({"quality": pl.Int128}).write_parquet(tmp_path / "m.parquet")
    with pytest.raises(ManifestError, match="64 bits not implemented.*write that column as text"):
        read_manifest(str(tmp_path / "m.parquet"))


def test_files_with_and_without_views_are_one_table(tmp_path) -> None:
    with_arrow_schema_of_polars(tmp_path / "a.parquet")
    POLARS.write_parquet(tmp_path / "b.parquet")
    duckdb.from_arrow(POLARS.to_arrow()).write_parquet(str(tmp_path / "c.parquet"))
    table, _ = read_table(str(tmp_path), ())
    assert table["note"].to_pylist() == POLARS["note"].to_list() * 3


TEXTS = pa.array(["b", "a"], pa.string_view())


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (
            pa.DictionaryArray.from_arrays(pa.array([1, None, 0], pa.int8()), TEXTS),
            ["a", None, "b"],
        ),
        (pa.RunEndEncodedArray.from_arrays([2, 3], ["x", None]), ["x", "x", None]),
        (pa.RunEndEncodedArray.from_arrays(pa.array([1, 2]), TEXTS), ["b", "a"]),
        (pa.array([["x"], None], pa.list_view(pa.string())), [["x"], None]),
        (pa.array([["x"], None], pa.large_list_view(pa.string_view())), [["x"], None]),
        (pa.array([["x"], None], pa.list_(pa.string_view(), 1)), [["x"], None]),
        (pa.array([[("k", "v")]], pa.map_(pa.string_view(), pa.string_view())), [[("k", "v")]]),
        (pa.array([{"k": b"v"}], pa.struct([("k", pa.binary_view())])), [{"k": b"v"}]),
        (pa.ExtensionArray.from_storage(pa.json_(pa.string_view()), TEXTS), ["b", "a"]),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else "",
)
def test_uncommon_types_get_common_ones_with_the_same_values(column, expected) -> None:
    table = with_common_types(pa.table({"x": pa.chunked_array([column, column.slice(1)])}))
    table.validate(full=True)
    assert not any(word in str(table.schema) for word in ("view", "run_end"))
    assert table["x"].to_pylist() == expected + expected[1:]
    pq.write_table(table.take([0]), pa.BufferOutputStream())


def test_common_types_stay_as_they_are() -> None:
    table = pa.table(
        {
            "text": pa.array(["x"], pa.large_string()),
            "lists": pa.array([["x"]], pa.large_list(pa.large_string())),
            "category": pa.array(["x"]).dictionary_encode(),
            "number": pa.array([decimal.Decimal("1.5")], pa.decimal128(4, 1)),
        }
    )
    assert with_common_types(table) is table
