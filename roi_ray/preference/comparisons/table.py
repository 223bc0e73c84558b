"""Read and write comparisons: a reference, two candidates, and which of them people prefer.

Comparisons are Parquet, CSV or JSON Lines, like manifests; `roi_ray.schema.COMPARISON` lists the
columns.
"""

import io
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from roi_ray import schema
from roi_ray.errors import ManifestError
from roi_ray.io import storage
from roi_ray.io.arrow_types import with_common_types
from roi_ray.io.columns import (
    Fail,
    as_type,
    check_columns,
    check_filled,
    check_parquet_types,
    first_flagged_row,
)
from roi_ray.io.tables import read_table, sha256_of_rows

_TEXT = tuple(name for name, kind in schema.COMPARISON.items() if kind == "string")


@dataclass(frozen=True)
class Comparisons:
    """Checked comparisons.

    Attributes:
        table: one row per comparison, in the file's order; first those columns of
            `schema.COMPARISON` that are present, always with `group`, then all others.
        name: absolute URI of the file or folder that they were read from.
        base: URI of the folder that relative URIs are relative to.
        sha256: hash of the rows as they were read, before they were cast to the schema's types.
    """

    table: pa.Table
    name: str
    base: str
    sha256: str


def read_comparisons(uri: str, *, labels: bool = True) -> Comparisons:
    """Read and check comparisons.

    Args:
        uri: path or `s3://` URI of a `.parquet`, `.csv`, `.jsonl` or `.ndjson` file, or of a
            folder of files of one of these formats.
        labels: whether `p_a` is required.

    Raises:
        ManifestError: the file is missing or has no rows, a column is missing or of a wrong type,
            a URI is empty, a `p_a` is outside 0..1, `votes` are below 1, or an image is compared
            with itself; the message names the row, counted from 1.
    """
    table, base = read_table(uri, _TEXT)
    name = storage.absolute(uri)
    return Comparisons(
        check_comparisons(table, name, base, labels=labels), name, base, sha256_of_rows(table)
    )


def check_comparisons(
    table: pa.Table, name: str, base: str = "", *, labels: bool = True
) -> pa.Table:
    """Check comparisons, cast them to the schema's types, and fill in `group`.

    The group of a row without one is its reference, however the reference's URI is spelled.

    Args:
        table: comparisons.
        name: name of the comparisons, for error messages.
        base: URI of the folder that relative URIs are relative to.
        labels: whether `p_a` is required.

    Returns:
        the columns of `schema.COMPARISON` in the schema's order, then all other columns.

    Raises:
        ManifestError: see `read_comparisons`.
    """

    def fail(text: str) -> NoReturn:
        raise ManifestError(f"comparisons {name}: {text}")

    table = with_common_types(table)
    check_columns(table, (*schema.COMPARISON_URIS, *((schema.P_A,) if labels else ())), fail)
    table = _cast_columns(table, fail)
    for column in schema.COMPARISON_URIS:
        check_filled(table, column, fail)
    a, b = (canonical_uris(table[side], base) for side in schema.SIDES)
    if (row := first_flagged_row(pa.chunked_array([pc.equal(a, b)]))) is not None:
        fail(f"row {row + 1} compares {table[schema.A][row].as_py()!r} with itself")
    if schema.P_A in table.column_names:
        check_shares(table, schema.P_A, fail)
        if labels and table[schema.P_A].null_count == len(table):
            fail(f"no row has a {schema.P_A!r}")
    if schema.VOTES in table.column_names:
        too_few = pc.fill_null(pc.less(table[schema.VOTES], 1), fill_value=False)
        if (row := first_flagged_row(too_few)) is not None:
            votes = table[schema.VOTES][row].as_py()
            fail(f"row {row + 1} has {votes} {schema.VOTES!r}; leave it empty, or give 1 or more")
    table = _fill_group(table, base)
    known = [column for column in schema.COMPARISON if column in table.column_names]
    others = [column for column in table.column_names if column not in schema.COMPARISON]
    check_parquet_types(table, fail)
    return table.select(known + others)


def check_shares(table: pa.Table, column: str, fail: Fail) -> None:
    """Check that a column of numbers is within 0..1 wherever it is filled in."""
    shares = table[column]
    outside = pc.invert(pc.and_(pc.greater_equal(shares, 0.0), pc.less_equal(shares, 1.0)))
    if (row := first_flagged_row(pc.fill_null(outside, fill_value=False))) is not None:
        fail(f"row {row + 1} has a {column!r} of {shares[row].as_py()}, not within 0..1")


def write_comparisons(uri: str, table: pa.Table) -> None:
    """Write comparisons as one Parquet file; it appears complete or not at all."""
    storage.write_bytes(uri, encode_comparisons(table))


def encode_comparisons(table: pa.Table) -> bytes:
    """Encode comparisons as a Parquet file."""
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()


def table_from_rows(rows: list[dict[str, Any]], name: str) -> pa.Table:
    """Build checked comparisons from dictionaries.

    Args:
        rows: values by column name of `schema.COMPARISON`; a missing key is null. Columns that no
            row has are left out.
        name: name of the data set, for error messages.

    Raises:
        ManifestError: there are no rows; for others see `read_comparisons`.
    """
    if not rows:
        raise ManifestError(f"comparisons {name}: no rows")
    present = {key for row in rows for key in row}
    fields = [(key, kind) for key, kind in schema.COMPARISON.items() if key in present]
    return check_comparisons(pa.Table.from_pylist(rows, pa.schema(fields)), name)


def drop_gold_and_failed(table: pa.Table) -> pa.Table:
    """Drop control questions (`gold`) and rows whose `error` is filled in."""
    return table.filter(pa.array(~(mark_gold(table) | mark_failed(table))))


def mark_gold(table: pa.Table) -> NDArray[np.bool_]:
    """Mark control questions (`gold`), (N,)."""
    if schema.GOLD not in table.column_names:
        return np.zeros(len(table), np.bool_)
    marks: NDArray[np.bool_] = pc.fill_null(table[schema.GOLD], fill_value=False).to_numpy()
    return marks.astype(np.bool_)


def mark_failed(table: pa.Table) -> NDArray[np.bool_]:
    """Mark rows whose `error` is filled in, (N,)."""
    if schema.ERROR not in table.column_names:
        return np.zeros(len(table), np.bool_)
    error = pc.fill_null(table[schema.ERROR].cast(pa.string()), "")
    marks: NDArray[np.bool_] = pc.not_equal(pc.utf8_trim_whitespace(error), "").to_numpy()
    return marks.astype(np.bool_)


def count_votes(table: pa.Table) -> NDArray[np.float64]:
    """Count the answers that each row stands for, (N,): its `votes`, else 1."""
    if schema.VOTES not in table.column_names:
        return np.ones(len(table))
    votes: NDArray[np.float64] = pc.fill_null(table[schema.VOTES], 1).to_numpy().astype(np.float64)
    return votes


def number_groups(table: pa.Table) -> NDArray[np.int64]:
    """Number the rows' groups in alphabetical order, (N,): the order of rows does not matter."""
    names = table[schema.GROUP].to_numpy().astype(str)
    numbers: NDArray[np.int64] = np.unique(names, return_inverse=True)[1]
    return numbers


def canonical_uri(uri: str, base: str) -> str:
    """Make a URI absolute and resolve `.` and `..`, so that one file has one spelling."""
    return storage.normalize(storage.resolve(uri, base))


def canonical_uris(written: pa.ChunkedArray, base: str) -> pa.Array:
    """Make all URIs of a column absolute, see `canonical_uri`."""
    encoded = written.combine_chunks().dictionary_encode()
    uris = encoded.dictionary.to_pylist()
    canonical = [canonical_uri(uri, base) for uri in uris]
    return pa.array(canonical, pa.string()).take(encoded.indices)


def _cast_columns(table: pa.Table, fail: Fail) -> pa.Table:
    """Cast known columns to the schema's types; blank texts other than URIs become null."""
    for column, kind in schema.COMPARISON.items():
        if column in table.column_names:
            table = as_type(table, column, pa.type_for_alias(kind), fail)
    for column in {schema.ERROR_KIND, schema.ERROR}.intersection(table.column_names):
        kind = table[column].type
        if pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind):
            # Cast to text, a 0 for "no error" would become an error.
            fail(f"column {column!r} is of type {kind}, not text; leave it empty without an error")
        table = as_type(table, column, pa.string(), fail)
    for column in set(_TEXT).difference(schema.COMPARISON_URIS).intersection(table.column_names):
        # CSV has no null: an empty cell means that the value is missing.
        blank = pc.equal(pc.utf8_trim_whitespace(table[column]), "")
        filled = pc.if_else(blank, pa.scalar(None, pa.string()), table[column])
        table = table.set_column(table.column_names.index(column), column, filled)
    return table


def _fill_group(table: pa.Table, base: str) -> pa.Table:
    references = canonical_uris(table[schema.REFERENCE], base)
    if schema.GROUP not in table.column_names:
        return table.append_column(schema.GROUP, references)
    groups = pc.coalesce(table[schema.GROUP], references)
    return table.set_column(table.column_names.index(schema.GROUP), schema.GROUP, groups)
