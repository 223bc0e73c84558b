"""Cast, complete and check the columns of a table."""

from collections.abc import Callable, Collection
from typing import NoReturn

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from roi_ray.io import storage

Fail = Callable[[str], NoReturn]
"""Function that raises an error; its argument says what is wrong with the table."""


def as_text(table: pa.Table, name: str, fail: Fail) -> pa.Table:
    """Return the table with one column cast to text."""
    if str(table[name].type) == "extension<arrow.uuid>":  # Arrow cannot cast UUIDs
        uuids = [value and str(value) for value in table[name].to_pylist()]
        return table.set_column(table.column_names.index(name), name, pa.array(uuids, pa.string()))
    return as_type(table, name, pa.string(), fail)


def as_type(table: pa.Table, name: str, to: pa.DataType, fail: Fail) -> pa.Table:
    """Return the table with one column cast to the type `to`."""
    current_type = table[name].type
    try:
        column = table[name].cast(to)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        # A column of numbers has the right type but a wrong value: Arrow's message names it.
        is_number = pa.types.is_floating(current_type) or pa.types.is_integer(current_type)
        reason = f" ({error})" if is_number else ""
        fail(f"column {name!r} is of type {current_type}, not {_type_name(to)}{reason}")
    return table.set_column(table.column_names.index(name), name, column)


def with_absolute_uris(table: pa.Table, names: Collection[str], base: str) -> pa.Table:
    """Return the table with absolute URIs, so that it can be written to another folder.

    Args:
        table: rows whose URIs may be relative.
        names: columns of URIs; those that the table lacks are skipped.
        base: URI of the folder that relative URIs are relative to.
    """
    for name in names:
        if name in table.column_names:
            uris = (uri and storage.resolve(uri, base) for uri in table[name].to_pylist())
            index = table.column_names.index(name)
            table = table.set_column(index, name, pa.array(uris, pa.string()))
    return table


def check_columns(table: pa.Table, needed: Collection[str], fail: Fail) -> None:
    """Check that every needed column exists, that no name is repeated, and that there are rows."""
    names = table.column_names
    for name in needed:
        if name not in names:
            fail(f"column {name!r} is missing; there are {', '.join(map(repr, names)) or 'none'}")
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        fail(f"column {repeated[0]!r} occurs more than once")
    if table.num_rows == 0:
        fail("no rows")


def check_filled(
    table: pa.Table,
    name: str,
    fail: Fail,
    first: int = 0,
    unless: pa.ChunkedArray | None = None,
) -> None:
    """Check that a text column has no empty cell.

    Args:
        table: consecutive rows of a file.
        name: the column.
        fail: function to call with a message; it names the first empty row, counted from 1.
        first: number of the table's first row, counted from 0.
        unless: rows that may be empty; None for none.
    """
    blank = pc.fill_null(pc.equal(pc.utf8_trim_whitespace(table[name]), ""), fill_value=True)
    if unless is not None:
        blank = pc.and_not(blank, unless)
    if (row := first_flagged_row(blank)) is not None:
        fail(f"row {first + row + 1} has an empty {name!r}")


def check_parquet_types(table: pa.Table, fail: Fail) -> None:
    """Check that Parquet can hold every column, by writing one row of each."""
    for name in table.column_names:
        row = table.select([name]).slice(0, 1)
        try:
            pq.write_table(row.take(pa.array([0])), pa.BufferOutputStream())
        except pa.ArrowException as error:
            current_type = table[name].type
            fail(
                f"Parquet cannot hold column {name!r} of type {current_type}: {error}; drop or "
                "change it"
            )


def first_flagged_row(flags: pa.ChunkedArray) -> int | None:
    """Return the number of the first row whose flag is true, counted from 0."""
    row: int = pc.index(flags, value=True).as_py()
    return row if row >= 0 else None


def _type_name(kind: pa.DataType) -> str:
    return "text" if kind == pa.string() else str(kind)
