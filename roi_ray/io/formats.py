"""Read one file of rows: Parquet, CSV or JSON Lines."""

import re
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.json as pajson
import pyarrow.parquet as pq

from roi_ray.errors import ManifestError
from roi_ray.io import storage


def file_suffix(uri: str) -> str:
    """Return the suffix of a file's name in lower case, such as `.csv`; the whole name if none."""
    name = uri.split("/")[-1]
    return name[name.rfind(".") :].lower() if "." in name else name


def read_rows(uri: str, text_columns: Collection[str]) -> pa.Table:
    """Read all rows of one file.

    Args:
        uri: a file with one of the `SUFFIXES`.
        text_columns: columns of CSV and JSON Lines that are text, whatever their values look like.

    Raises:
        ManifestError: the file does not exist, has another suffix, is empty, or is not in the
            format of its suffix.
    """
    reader = _READERS.get(file_suffix(uri))
    if reader is None:
        raise ManifestError(f"{uri} ends in none of {', '.join(SUFFIXES)}")
    data = storage.read_bytes(uri)
    if not data:
        raise ManifestError(f"{uri} is empty (0 bytes)")
    try:
        return validate(reader(data, text_columns))
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _unreadable(uri, error) from error


@contextmanager
def open_parquet(uri: str) -> Iterator[pq.ParquetFile]:
    """Open a Parquet file for reading its footer, or its rows piece by piece.

    Raises:
        ManifestError: the file is not Parquet, even if this shows only while it is read.
    """
    try:
        with storage.open_file(uri) as stream:
            yield pq.ParquetFile(stream)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _unreadable(uri, error) from error


def validate(table: pa.Table) -> pa.Table:
    """Return the table if its contents are valid Arrow data; raise ArrowInvalid otherwise."""
    table.validate(full=True)
    # Raises for names that are not UTF-8, which `validate` accepts.
    table.column_names  # noqa: B018
    return table


def _unreadable(uri: str, error: Exception) -> ManifestError:
    text = f"{uri} cannot be read as {file_suffix(uri)}: {error}"
    if isinstance(error, pa.ArrowNotImplementedError):
        text += f" by pyarrow {pa.__version__}; write that column as text, or drop it"
    return ManifestError(text)


def _read_parquet(data: bytes, _: Collection[str]) -> pa.Table:
    return pq.read_table(pa.BufferReader(data))


def _read_csv(data: bytes, text_columns: Collection[str]) -> pa.Table:
    types = {name: pa.string() for name in text_columns}
    table = pacsv.read_csv(
        pa.BufferReader(data),
        # Without this, pyarrow cuts large files into blocks at any newline, also within quotes.
        parse_options=pacsv.ParseOptions(newlines_in_values=True),
        convert_options=pacsv.ConvertOptions(column_types=types, strings_can_be_null=True),
    )
    # pyarrow reads text that is not UTF-8 as binary.
    for field in table.schema:
        if pa.types.is_binary(field.type):
            raise ValueError(f"column {field.name!r} is not UTF-8; convert the file")
    return table


# A block of lines that begins with null crashes pyarrow's process.
_NULL_LINE = re.compile(rb"(?:\A(?:\xef\xbb\xbf)?|[\r\n])[ \t]*null")


def _read_json_lines(data: bytes, text_columns: Collection[str]) -> pa.Table:
    if _NULL_LINE.search(data):
        raise ValueError("a line is null, not an object")
    table = pajson.read_json(pa.BufferReader(data))
    # pyarrow turns text that looks like a date into a timestamp, which loses how it was written.
    dates = [
        f.name for f in table.schema if f.name in text_columns and pa.types.is_temporal(f.type)
    ]
    if not dates:
        return table
    dates_as_text = pajson.ParseOptions(
        explicit_schema=pa.schema([(name, pa.string()) for name in dates]),
        unexpected_field_behavior="infer",
    )
    return pajson.read_json(pa.BufferReader(data), parse_options=dates_as_text).select(
        table.column_names
    )


_READERS: dict[str, Callable[[bytes, Collection[str]], pa.Table]] = {
    ".parquet": _read_parquet,
    ".csv": _read_csv,
    ".jsonl": _read_json_lines,
    ".ndjson": _read_json_lines,
}

SUFFIXES = tuple(_READERS)
"""Suffixes of the files that can be read."""
