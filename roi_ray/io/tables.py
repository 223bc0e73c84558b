"""Rows from Parquet, CSV or JSON Lines: one file or a folder of them; local or S3."""

import hashlib
import re
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.json as pajson
import pyarrow.parquet as pq

from roi_ray.errors import ManifestError
from roi_ray.io import storage


@dataclass(frozen=True)
class Source:
    """Files of rows, all of one format.

    Attributes:
        uri: as it was given, made absolute.
        base: URI of the folder that relative URIs in the rows are relative to.
        files: URIs.
        text: columns that are text, even where all their values are whole numbers.
    """

    uri: str
    base: str
    files: tuple[str, ...]
    text: tuple[str, ...]

    def rows(self) -> int:
        """How many there are; of Parquet files, what their footers claim."""
        if not self._parquet():
            return int(self._whole.num_rows)
        return sum(rows for rows, _ in self._footers)

    def size(self) -> int:
        """Bytes of all files."""
        return sum(map(storage.file_size, self.files))

    def names(self) -> list[str]:
        """Columns of all files."""
        return list((self._columns if self._parquet() else self._whole).column_names)

    def read(self, limit: int | None = None) -> pa.Table:
        """All rows, or the first ones.

        Raises:
            ManifestError: a file is not what its name says, or they have different columns.
        """
        if limit is None or limit >= self.rows():
            return self._whole
        if not self._parquet():
            return self._whole.slice(0, limit)
        # Of a large manifest, no more is read than is wanted.
        found: list[pa.Table] = []
        for piece in self.pieces(limit):
            found.append(piece.slice(0, limit - sum(map(len, found))))
            if sum(map(len, found)) == limit:
                break
        return self._together(found)

    @cached_property
    def _whole(self) -> pa.Table:
        return self._together([_read(file, self.text) for file in self.files])

    @cached_property
    def _columns(self) -> pa.Table:
        """Of Parquet files: no rows, and the columns that all of them have together."""
        return self._together([columns for _, columns in self._footers])

    @cached_property
    def _footers(self) -> list[tuple[int, pa.Table]]:
        """Rows that each Parquet file claims to have, and a table of its columns without any."""
        found = []
        for file in self.files:
            with _parquet(file) as opened:
                found.append((opened.metadata.num_rows, opened.schema_arrow.empty_table()))
        return found

    def _together(self, tables: list[pa.Table]) -> pa.Table:
        for table in tables:
            if twice := {name for name in table.column_names if table.column_names.count(name) > 1}:
                raise ManifestError(f"{self.uri}: column {min(twice)!r} is there more than once")
        try:
            # A name that looks like a number in one file may look like text in another.
            tables = [_with_room(_with_text(table, self.text)) for table in tables]
            table = pa.concat_tables(tables, promote_options="permissive").combine_chunks()
        except pa.ArrowException as error:
            text = f"the files of {self.uri} have different columns: {error}"
            raise ManifestError(text) from error
        return table.replace_schema_metadata(None)

    def pieces(self, rows: int) -> Iterator[pa.Table]:
        """The rows in order, at most so many at a time; only of Parquet without reading all.

        All pieces have the same columns, those of `read`.
        """
        if not self._parquet():
            table = self._whole
            for start in range(0, len(table), rows):
                yield table.slice(start, rows)
            return
        for file in self.files:
            with _parquet(file) as opened:
                for batch in opened.iter_batches(rows):
                    yield self._together([self._columns, _valid(pa.Table.from_batches([batch]))])

    def _parquet(self) -> bool:
        return _suffix(self.files[0]) == ".parquet"


def find_source(uri: str, text: Collection[str]) -> Source:
    """The files of a table.

    Args:
        uri: a `.parquet`, `.csv`, `.jsonl` or `.ndjson` file, or a folder of files of one of these.
        text: see `Source`.

    Raises:
        ManifestError: no such file, or files of several formats.
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
    return Source(uri, base, tuple(files), tuple(text))


def read_table(uri: str, text: Collection[str]) -> tuple[pa.Table, str]:
    """All rows of a table, and its `base`; see `find_source` and `Source`."""
    source = find_source(uri, text)
    return source.read(), source.base


def sha256_of_rows(table: pa.Table) -> str:
    """Returns the SHA-256 of a table's rows and columns as they are in memory."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return hashlib.sha256(sink.getvalue()).hexdigest()


def _read(file: str, text: Collection[str]) -> pa.Table:
    reader = _READERS.get(_suffix(file))
    if reader is None:
        if not storage.is_file(file):
            raise ManifestError(f"there is neither a file nor a folder {file}")
        raise ManifestError(f"{file} ends in none of {', '.join(_READERS)}")
    data = storage.read_bytes(file)
    if not data:
        raise ManifestError(f"{file} is empty (0 bytes)")
    try:
        return _valid(reader(data, text))
    except (pa.ArrowException, OSError, ValueError) as error:
        raise ManifestError(f"{file} cannot be read as {_suffix(file)}: {error}") from error


def _with_room(table: pa.Table) -> pa.Table:
    """Dictionaries of pandas' categories, numbered by single bytes, can meet those of other files.

    Together they may have more values than a byte can number.
    """
    for at, field in enumerate(table.schema):
        kind = field.type
        if pa.types.is_dictionary(kind) and kind.index_type.bit_width < 32:
            wide = pa.dictionary(pa.int32(), kind.value_type, kind.ordered)
            table = table.set_column(at, field.name, table[at].cast(wide))
    return table


def _with_text(table: pa.Table, names: Collection[str]) -> pa.Table:
    """The table with whole numbers in these columns, and dictionaries of text, as text."""
    for at, name in enumerate(table.column_names):
        kind = table[name].type
        texts = pa.types.is_dictionary(kind) and pa.types.is_string(kind.value_type)
        if name in names and (pa.types.is_integer(kind) or texts):
            table = table.set_column(at, name, table[name].cast(pa.string()))
    return table


def _valid(table: pa.Table) -> pa.Table:
    table.validate(full=True)
    table.column_names  # noqa: B018 raises if they are not UTF-8, which `validate` lets pass
    return table


@contextmanager
def _parquet(file: str) -> Iterator[pq.ParquetFile]:
    try:
        with storage.open_file(file) as stream:
            yield pq.ParquetFile(stream)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise ManifestError(f"{file} cannot be read as .parquet: {error}") from error


def _read_csv(data: bytes, text: Collection[str]) -> pa.Table:
    types = {name: pa.string() for name in text}
    table = pacsv.read_csv(
        pa.BufferReader(data),
        # Else a large file is cut into blocks wherever a line ends, within quotes too.
        parse_options=pacsv.ParseOptions(newlines_in_values=True),
        convert_options=pacsv.ConvertOptions(column_types=types, strings_can_be_null=True),
    )
    # Which pyarrow makes of text that is not UTF-8.
    for field in table.schema:
        if pa.types.is_binary(field.type):
            raise ValueError(f"column {field.name!r} is not UTF-8; convert the file")
    return table


# pyarrow dies of a block of lines that begins with null.
_NULL_LINE = re.compile(rb"(?:\A(?:\xef\xbb\xbf)?|[\r\n])[ \t]*null")


def _read_json(data: bytes, text: Collection[str]) -> pa.Table:
    if _NULL_LINE.search(data):
        raise ValueError("a line is null, not an object")
    table = pajson.read_json(pa.BufferReader(data))
    # What looks like a date has become one, and would not be the same text again.
    dates = [f.name for f in table.schema if f.name in text and pa.types.is_temporal(f.type)]
    if not dates:
        return table
    as_written = pajson.ParseOptions(
        explicit_schema=pa.schema([(name, pa.string()) for name in dates]),
        unexpected_field_behavior="infer",
    )
    return pajson.read_json(pa.BufferReader(data), parse_options=as_written).select(
        table.column_names
    )


_READERS: dict[str, Callable[[bytes, Collection[str]], pa.Table]] = {
    ".parquet": lambda data, text: pq.read_table(pa.BufferReader(data)),
    ".csv": _read_csv,
    ".jsonl": _read_json,
    ".ndjson": _read_json,
}


def _suffix(file: str) -> str:
    name = file.split("/")[-1]
    return name[name.rfind(".") :].lower() if "." in name else name
