"""Read and write comparisons: one reference, two candidates, and what people said of them.

Parquet, CSV or JSON Lines like a manifest; `roi_ray.schema.COMPARISON` describes the columns.
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
from roi_ray.io.columns import (
    Fail,
    as_type,
    check_columns,
    check_filled,
    check_parquet_types,
    first_flagged_row,
)
from roi_ray.io.tables import read_table, sha256_of_rows

_TEXT = tuple(name for name, kind in schema.COMPARISON.items() if kind == pa.string())


@dataclass(frozen=True)
class Comparisons:
    """Checked comparisons.

    Attributes:
        table: one row a comparison, in the file's order; the columns of `schema.COMPARISON` that
            there are, always with `group`, then all others.
        name: where they came from.
        base: URI of the folder that relative URIs are relative to.
        sha256: of the rows as the files have them.
    """

    table: pa.Table
    name: str
    base: str
    sha256: str


def read_comparisons(uri: str, *, labels: bool = True) -> Comparisons:
    """Read and check comparisons.

    Args:
        uri: a `.parquet`, `.csv`, `.jsonl` or `.ndjson` file, or a folder of files of one of these.
        labels: `p_a` must be there.

    Raises:
        ManifestError: no such file, no rows, a missing column, an empty URI, a `p_a` outside 0..1,
            `votes` below 1, an image compared with itself; the text names the row, counted from 1.
    """
    table, base = read_table(uri, _TEXT)
    name = storage.absolute(uri)
    return Comparisons(
        check_comparisons(table, name, base, labels=labels), name, base, sha256_of_rows(table)
    )


def check_comparisons(
    table: pa.Table, name: str, base: str = "", *, labels: bool = True
) -> pa.Table:
    """The table with the schema's types and a `group`, its columns in the schema's order.

    A row without a `group` is of that of its reference, however its URI is spelled.

    Args:
        table: comparisons.
        name: of the table, for errors.
        base: that relative URIs are relative to.
        labels: `p_a` must be there.

    Raises:
        ManifestError: see `read_comparisons`.
    """

    def fail(text: str) -> NoReturn:
        raise ManifestError(f"comparisons {name}: {text}")

    check_columns(table, (*schema.COMPARISON_URIS, *((schema.P_A,) if labels else ())), fail)
    for column, kind in schema.COMPARISON.items():
        if column in table.column_names:
            table = as_type(table, column, kind, fail)
    if schema.ERROR in table.column_names:
        kind = table[schema.ERROR].type
        if pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind):
            # Its 0 would be an error like any other text.
            fail(f"column {schema.ERROR!r} is of type {kind}, not text, empty where there is none")
        table = as_type(table, schema.ERROR, pa.string(), fail)
    for column in schema.COMPARISON_URIS:
        check_filled(table, column, fail)
    for column in set(_TEXT).difference(schema.COMPARISON_URIS).intersection(table.column_names):
        # As CSV has it: nothing between two commas is no name.
        blank = pc.equal(pc.utf8_trim_whitespace(table[column]), "")
        filled = pc.if_else(blank, pa.scalar(None, pa.string()), table[column])
        table = table.set_column(table.column_names.index(column), column, filled)
    a, b = (_one_spelling(table[side], base) for side in schema.SIDES)
    if (row := first_flagged_row(pa.chunked_array([pc.equal(a, b)]))) is not None:
        fail(f"row {row + 1} compares {table[schema.A][row].as_py()!r} with itself")
    if schema.P_A in table.column_names:
        _check_labels(table[schema.P_A], fail, needed=labels)
    if schema.VOTES in table.column_names:
        too_few = pc.fill_null(pc.less(table[schema.VOTES], 1), fill_value=False)
        if (row := first_flagged_row(too_few)) is not None:
            votes = table[schema.VOTES][row].as_py()
            fail(f"row {row + 1} has {votes} {schema.VOTES!r}; leave it empty, or give 1 or more")
    references = _one_spelling(table[schema.REFERENCE], base)
    if schema.GROUP not in table.column_names:
        table = table.append_column(schema.GROUP, references)
    groups = pc.coalesce(table[schema.GROUP], references)
    table = table.set_column(table.column_names.index(schema.GROUP), schema.GROUP, groups)
    known = [column for column in schema.COMPARISON if column in table.column_names]
    others = [column for column in table.column_names if column not in schema.COMPARISON]
    check_parquet_types(table, fail)
    return table.select(known + others)


def write_comparisons(uri: str, table: pa.Table) -> None:
    """Write comparisons as one Parquet file, whole or not at all."""
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    storage.write_bytes(uri, buffer.getvalue())


def table_from_rows(rows: list[dict[str, Any]], name: str) -> pa.Table:
    """Comparisons from dictionaries by the schema's column names; what no row has is left out.

    Args:
        rows: the values of a missing key are null.
        name: of the data set, for errors.

    Raises:
        ManifestError: no rows, or see `read_comparisons`.
    """
    if not rows:
        raise ManifestError(f"comparisons {name}: no rows")
    there = {key for row in rows for key in row}
    fields = [(key, kind) for key, kind in schema.COMPARISON.items() if key in there]
    return check_comparisons(pa.Table.from_pylist(rows, pa.schema(fields)), name)


def drop_gold_and_failed(table: pa.Table) -> pa.Table:
    """The rows that count: no control questions (`gold`), and none whose `error` is filled in."""
    keep = pa.repeat(pa.scalar(True), len(table))
    if schema.GOLD in table.column_names:
        keep = pc.and_(keep, pc.invert(pc.fill_null(table[schema.GOLD], fill_value=False)))
    if schema.ERROR in table.column_names:
        error = pc.fill_null(table[schema.ERROR].cast(pa.string()), "")
        keep = pc.and_(keep, pc.equal(error, ""))
    return table.filter(keep)


def count_votes(table: pa.Table) -> NDArray[np.float64]:
    """How many answers each row stands for, (N,): its `votes`, else 1."""
    if schema.VOTES not in table.column_names:
        return np.ones(len(table))
    votes: NDArray[np.float64] = pc.fill_null(table[schema.VOTES], 1).to_numpy().astype(np.float64)
    return votes


def number_groups(table: pa.Table) -> NDArray[np.int64]:
    """A number for each row's `group`, (N,); by name, so that the order of rows decides nothing."""
    names = table[schema.GROUP].to_numpy().astype(str)
    numbers: NDArray[np.int64] = np.unique(names, return_inverse=True)[1]
    return numbers


def _one_spelling(written: pa.ChunkedArray, base: str) -> pa.Array:
    """URIs made absolute, without detours: the same for the same file."""
    encoded = written.combine_chunks().dictionary_encode()
    uris = encoded.dictionary.to_pylist()
    spelled = [storage.normalize(storage.resolve(uri, base)) for uri in uris]
    return pa.array(spelled, pa.string()).take(encoded.indices)


def _check_labels(column: pa.ChunkedArray, fail: Fail, *, needed: bool) -> None:
    outside = pc.invert(pc.and_(pc.greater_equal(column, 0.0), pc.less_equal(column, 1.0)))
    if (row := first_flagged_row(pc.fill_null(outside, fill_value=False))) is not None:
        fail(f"row {row + 1} has a {schema.P_A!r} of {column[row].as_py()}, not within 0..1")
    if needed and column.null_count == len(column):
        fail(f"no row has a {schema.P_A!r}")
