"""Find and read tables: one file of rows or a folder of them, local or on S3."""

import hashlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa

from roi_ray.errors import ManifestError
from roi_ray.io import storage
from roi_ray.io.formats import SUFFIXES, file_suffix, open_parquet, read_rows, validate

_MAX_ROWS_PER_BYTE = 256
"""Parquet compresses repeated values so well that one byte can hold several rows, but not more."""


@dataclass(frozen=True)
class TableFiles:
    """The files of one table, all of one format.

    Attributes:
        uri: the file or folder, absolute.
        base: URI of the folder that relative URIs in the rows are relative to.
        files: URI of each file, in the order of their rows.
        text_columns: columns that are text, even if all values of a file are whole numbers.
    """

    uri: str
    base: str
    files: tuple[str, ...]
    text_columns: tuple[str, ...]

    @cached_property
    def row_count(self) -> int:
        """Number of rows in all files. For Parquet, the number that the footers claim.

        Raises:
            ManifestError: a footer claims more rows than a file of its size can hold.
        """
        if not self._is_parquet:
            return int(self._all_rows.num_rows)
        claimed = sum(rows for rows, _ in self._footers)
        if claimed > _MAX_ROWS_PER_BYTE * sum(map(storage.file_size, self.files)):
            raise ManifestError(
                f"{self.uri}: it claims {claimed} rows, more than its size can hold; write it anew"
            )
        return claimed

    @property
    def column_names(self) -> list[str]:
        """Names of the columns of all files together."""
        return list((self._columns if self._is_parquet else self._all_rows).column_names)

    def read_all(self) -> pa.Table:
        """Read all rows as one chunk.

        Raises:
            ManifestError: a file is not in the format of its suffix, or the files have columns that
                do not fit together.
        """
        return self._all_rows

    def read_first(self, rows: int) -> pa.Table:
        """Read the first `rows` rows as one chunk, and no more of Parquet files than needed.

        Raises:
            ManifestError: as `read_all`; or Parquet files have more or fewer rows than they claim.
        """
        if rows < self.row_count:
            if self._is_parquet:
                return self._concatenate(list(self.read_pieces(rows, piece_rows=rows)))
            return self._all_rows.slice(0, rows)
        self._check_count(rows, len(self._all_rows))
        return self._all_rows

    def read_pieces(self, rows: int, piece_rows: int) -> Iterator[pa.Table]:
        """Yield the first `rows` rows in order, at most `piece_rows` at a time.

        All pieces have the columns of all files. Only Parquet is read piece by piece; files of
        other formats are read as a whole.

        Raises:
            ManifestError: as `read_all`; or Parquet files have fewer rows than they claim.
        """
        count = 0
        for piece in self._all_pieces(piece_rows):
            kept = piece.slice(0, rows - count)
            yield kept
            count += len(kept)
            if count == rows:
                return
        self._check_count(rows, count)

    def _all_pieces(self, piece_rows: int) -> Iterator[pa.Table]:
        if not self._is_parquet:
            table = self._all_rows
            for start in range(0, len(table), piece_rows):
                yield table.slice(start, piece_rows)
            return
        for file in self.files:
            with open_parquet(file) as parquet:
                for batch in parquet.iter_batches(piece_rows):
                    piece = validate(pa.Table.from_batches([batch]))
                    yield self._concatenate([self._columns, piece])

    def _check_count(self, claimed: int, count: int) -> None:
        if claimed != count:
            raise ManifestError(f"{self.uri}: it claims {claimed} rows, but has {count}")

    @property
    def _is_parquet(self) -> bool:
        return file_suffix(self.files[0]) == ".parquet"

    @cached_property
    def _all_rows(self) -> pa.Table:
        return self._concatenate([read_rows(file, self.text_columns) for file in self.files])

    @cached_property
    def _footers(self) -> list[tuple[int, pa.Table]]:
        """For each Parquet file, the rows that it claims and its columns as an empty table."""
        footers = []
        for file in self.files:
            with open_parquet(file) as parquet:
                footers.append((parquet.metadata.num_rows, parquet.schema_arrow.empty_table()))
        return footers

    @cached_property
    def _columns(self) -> pa.Table:
        """The columns of all Parquet files together, as an empty table."""
        return self._concatenate([columns for _, columns in self._footers])

    def _concatenate(self, tables: list[pa.Table]) -> pa.Table:
        """Concatenate tables into one chunk that has the columns of all of them."""
        for table in tables:
            names = table.column_names
            if repeated := {name for name in names if names.count(name) > 1}:
                raise ManifestError(f"{self.uri}: column {min(repeated)!r} occurs more than once")
        try:
            tables = [_widen_dictionaries(_to_text(table, self.text_columns)) for table in tables]
            table = pa.concat_tables(tables, promote_options="permissive").combine_chunks()
        except pa.ArrowException as error:
            text = f"the files of {self.uri} have different columns: {error}"
            raise ManifestError(text) from error
        return table.replace_schema_metadata(None)


def find_table_files(uri: str, text_columns: Collection[str]) -> TableFiles:
    """Find the files of a table.

    Args:
        uri: a `.parquet`, `.csv`, `.jsonl` or `.ndjson` file, or a folder of files of one of these.
        text_columns: see `TableFiles`.

    Raises:
        ManifestError: the folder has no such file, or files of several formats.
    """
    uri = storage.absolute(uri)
    if storage.is_folder(uri):
        base, files = uri, [storage.join(uri, name) for name in storage.list_files(uri)]
        files = [file for file in files if file_suffix(file) in SUFFIXES]
        if not files:
            raise ManifestError(f"{uri} contains no {', '.join(SUFFIXES)} file")
    else:
        base, files = storage.parent(uri), [uri]
    suffixes = sorted({file_suffix(file) for file in files})
    if len(suffixes) > 1:
        raise ManifestError(f"{uri} mixes {' and '.join(suffixes)} files; keep one format")
    return TableFiles(uri, base, tuple(files), tuple(text_columns))


def read_table(uri: str, text_columns: Collection[str]) -> tuple[pa.Table, str]:
    """Read all rows of a table; also return the URI of the folder that its URIs are relative to.

    Arguments and errors are those of `find_table_files` and `TableFiles.read_all`.
    """
    files = find_table_files(uri, text_columns)
    return files.read_all(), files.base


def sha256_of_rows(table: pa.Table) -> str:
    """Return the SHA-256 of a table's rows and columns as they are in memory."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return hashlib.sha256(sink.getvalue()).hexdigest()


def _to_text(table: pa.Table, names: Collection[str]) -> pa.Table:
    """Cast the named columns to text if they are integers or categories.

    A name that looks like a number in all rows of one file may not do so in another.
    """
    for index, name in enumerate(table.column_names):
        kind = table[name].type
        is_category = pa.types.is_dictionary(kind) and pa.types.is_string(kind.value_type)
        if name in names and (pa.types.is_integer(kind) or is_category):
            table = table.set_column(index, name, table[name].cast(pa.string()))
    return table


def _widen_dictionaries(table: pa.Table) -> pa.Table:
    """Give all dictionary columns 32-bit indices.

    pandas uses 8-bit indices for up to 127 categories. Several files together may have more.
    """
    for index, field in enumerate(table.schema):
        kind = field.type
        if pa.types.is_dictionary(kind) and kind.index_type.bit_width < 32:
            wide = pa.dictionary(pa.int32(), kind.value_type, kind.ordered)
            table = table.set_column(index, field.name, table[index].cast(wide))
    return table
