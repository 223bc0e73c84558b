"""Rows from Parquet, CSV or JSON Lines: one file or a folder of them; local or S3."""

from collections.abc import Callable, Collection
from typing import NoReturn

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.json as pajson
import pyarrow.parquet as pq

from roi_ray import storage
from roi_ray.errors import ManifestError

Fail = Callable[[str], NoReturn]
"""Raises an error that names the table and says what is wrong with it."""


def read_table(uri: str, text: Collection[str]) -> tuple[pa.Table, str]:
    """Read all rows.

    Args:
        uri: a `.parquet`, `.csv`, `.jsonl` or `.ndjson` file, or a folder of files of one of these.
        text: columns that are text in CSV, even where all their values look like numbers.

    Returns:
        the rows, and the URI of the folder that relative URIs in them are relative to.

    Raises:
        ManifestError: no such file, or one that is not what its name says.
    """
    uri = storage.absolute(uri)
    if storage.is_folder(uri):
        base, files = uri, [storage.join(uri, name) for name in storage.list_files(uri)]
        files = [file for file in files if _suffix(file) in _READERS]
        if not files:
            raise ManifestError(f"{uri} holds no {', '.join(_READERS)} file")
    else:
        base, files = storage.parent(uri), [uri]
    suffixes = sorted({_suffix(file) for file in files})
    if len(suffixes) > 1:
        raise ManifestError(f"{uri} mixes {' and '.join(suffixes)} files; give one of them")
    tables = [_read(file, text) for file in files]
    try:
        table = pa.concat_tables(tables, promote_options="permissive")
    except pa.ArrowInvalid as error:
        raise ManifestError(f"the files of {uri} have different columns: {error}") from error
    return table.replace_schema_metadata(None).combine_chunks(), base


def as_text(table: pa.Table, name: str, fail: Fail) -> pa.Table:
    """The table with a column cast to text."""
    return as_type(table, name, pa.string(), fail)


def as_type(table: pa.Table, name: str, to: pa.DataType, fail: Fail) -> pa.Table:
    """The table with a column cast to a type."""
    try:
        column = table[name].cast(to)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        kind = "text" if to == pa.string() else str(to)
        fail(f"column {name!r} is of type {table[name].type}, not {kind}")
    return table.set_column(table.column_names.index(name), name, column)


def check_columns(table: pa.Table, needed: Collection[str], fail: Fail) -> None:
    """Check that the needed columns are there, none of them twice, and that there are rows."""
    names = table.column_names
    for name in needed:
        if name not in names:
            fail(f"column {name!r} is missing; there are {', '.join(map(repr, names)) or 'none'}")
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        fail(f"column {repeated[0]!r} is there more than once")
    if table.num_rows == 0:
        fail("no rows")


def check_filled(table: pa.Table, name: str, fail: Fail) -> None:
    """Check that no row of a text column is empty."""
    blank = pc.fill_null(pc.equal(pc.utf8_trim_whitespace(table[name]), ""), fill_value=True)
    if (row := first_row(blank)) is not None:
        fail(f"row {row + 1} has an empty {name!r}")


def first_row(flags: pa.ChunkedArray) -> int | None:
    """The first row whose flag is set."""
    row: int = pc.index(flags, value=True).as_py()
    return row if row >= 0 else None


def _read(file: str, text: Collection[str]) -> pa.Table:
    reader = _READERS.get(_suffix(file))
    if reader is None:
        raise ManifestError(f"{file} ends in none of {', '.join(_READERS)}")
    data = storage.read_bytes(file)
    if not data:
        raise ManifestError(f"{file} is empty (0 bytes)")
    try:
        return reader(data, text)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise ManifestError(f"{file} cannot be read as {_suffix(file)}: {error}") from error


def _read_csv(data: bytes, text: Collection[str]) -> pa.Table:
    types = {name: pa.string() for name in text}
    options = pacsv.ConvertOptions(column_types=types, strings_can_be_null=True)
    return pacsv.read_csv(pa.BufferReader(data), convert_options=options)


def _read_json(data: bytes, text: Collection[str]) -> pa.Table:
    return pajson.read_json(pa.BufferReader(data))


_READERS: dict[str, Callable[[bytes, Collection[str]], pa.Table]] = {
    ".parquet": lambda data, text: pq.read_table(pa.BufferReader(data)),
    ".csv": _read_csv,
    ".jsonl": _read_json,
    ".ndjson": _read_json,
}


def _suffix(file: str) -> str:
    name = file.split("/")[-1]
    return name[name.rfind(".") :].lower() if "." in name else name
