"""Find and read tables: one file of rows or a folder of them, local or on S3."""

import hashlib
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import pyarrow as pa

from roi_ray.errors import ManifestError
from roi_ray.io import hive, storage
from roi_ray.io.arrow_types import widen_dictionaries, with_common_types
from roi_ray.io.formats import SUFFIXES, file_suffix, open_parquet, read_rows, validate
from roi_ray.io.missing import explain_missing_table, explain_no_tables

_T = TypeVar("_T")

_READERS = 16
"""Files read at the same time, because each read waits for the network or the disk."""

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
        partitions: for each file, the columns that the names of its folders add.
    """

    uri: str
    base: str
    files: tuple[str, ...]
    text_columns: tuple[str, ...]
    partitions: tuple[hive.Partition, ...]

    @cached_property
    def row_count(self) -> int:
        """Number of rows in all files. For Parquet, the number that the footers claim.

        Raises:
            ManifestError: a footer claims more rows than a file of its size can hold.
        """
        if not self._is_parquet:
            return int(self._all_rows.num_rows)
        claimed = sum(rows for rows, _, _ in self._footers)
        if claimed > _MAX_ROWS_PER_BYTE * sum(size for _, _, size in self._footers):
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
        for number, file in enumerate(self.files):
            with open_parquet(file) as parquet:
                for batch in parquet.iter_batches(piece_rows):
                    piece = validate(pa.Table.from_batches([batch]))
                    yield self._concatenate([self._columns, self._complete(piece, number)])

    def _check_count(self, claimed: int, count: int) -> None:
        if claimed != count:
            raise ManifestError(f"{self.uri}: it claims {claimed} rows, but has {count}")

    @property
    def _is_parquet(self) -> bool:
        return file_suffix(self.files[0]) == ".parquet"

    @cached_property
    def _all_rows(self) -> pa.Table:
        return self._concatenate(self._for_each_file(self._read_file))

    def _read_file(self, number: int) -> pa.Table:
        return self._complete(read_rows(self.files[number], self.text_columns), number)

    @cached_property
    def _footers(self) -> list[tuple[int, pa.Table, int]]:
        """For each Parquet file, the rows that it claims, its columns as an empty table, its size.

        The size is in bytes.
        """
        return self._for_each_file(self._read_footer)

    def _read_footer(self, number: int) -> tuple[int, pa.Table, int]:
        with open_parquet(self.files[number]) as parquet:
            columns = self._complete(parquet.schema_arrow.empty_table(), number)
            rows = parquet.metadata.num_rows
        return rows, columns, storage.file_size(self.files[number])

    def _for_each_file(self, read: Callable[[int], _T]) -> list[_T]:
        """Call a function with the number of each file; results are in their order."""
        with ThreadPoolExecutor(min(_READERS, len(self.files))) as threads:
            return list(threads.map(read, range(len(self.files))))

    @cached_property
    def _columns(self) -> pa.Table:
        """The columns of all Parquet files together, as an empty table."""
        return self._concatenate([columns for _, columns, _ in self._footers])

    @cached_property
    def _partition_types(self) -> dict[str, pa.DataType]:
        return hive.infer_types(self.partitions, self.text_columns)

    def _complete(self, table: pa.Table, number: int) -> pa.Table:
        """Give rows of the file of this number common types, and the columns of its folders."""
        names = table.column_names
        if repeated := {name for name in names if names.count(name) > 1}:
            raise ManifestError(f"{self.uri}: column {min(repeated)!r} occurs more than once")
        try:
            table = widen_dictionaries(_to_text(with_common_types(table), self.text_columns))
        except (pa.ArrowException, ValueError) as error:
            raise ManifestError(f"{self.files[number]}: {error}") from error
        partition = self.partitions[number]
        return hive.add_partition(table, partition, self._partition_types, self.files[number])

    def _concatenate(self, tables: list[pa.Table]) -> pa.Table:
        """Concatenate completed tables into one chunk that has the columns of all of them."""
        try:
            table = pa.concat_tables(tables, promote_options="permissive").combine_chunks()
        except pa.ArrowException as error:
            text = f"the files of {self.uri} have different columns: {error}"
            raise ManifestError(text) from error
        return table.replace_schema_metadata(None)


def find_table_files(uri: str, text_columns: Collection[str]) -> TableFiles:
    """Find the files of a table.

    Args:
        uri: a `.parquet`, `.csv`, `.jsonl` or `.ndjson` file, or a folder of files of one of these,
            directly in it or in folders that are named in Hive's way; see `hive`.
        text_columns: see `TableFiles`.

    Raises:
        ManifestError: it does not exist; or the folder has no such file, files of several formats,
            or files both directly in it and in Hive's folders.
    """
    uri = storage.absolute(uri)
    partitions: list[hive.Partition] = []
    if storage.is_folder(uri):
        base, names = uri, _list_tables(uri)
        if "/" in names[0]:
            partitions = hive.parse_partitions(uri, names)
        files = [storage.join(uri, name) for name in names]
    elif storage.exists(uri):
        base, files = storage.parent(uri), [uri]
    else:
        raise ManifestError(f"no such file or folder: {uri}{explain_missing_table(uri)}")
    suffixes = sorted({file_suffix(file) for file in files})
    if len(suffixes) > 1:
        raise ManifestError(f"{uri} mixes {' and '.join(suffixes)} files; keep one format")
    partitions = partitions or [{}] * len(files)
    return TableFiles(uri, base, tuple(files), tuple(text_columns), tuple(partitions))


def _list_tables(uri: str) -> list[str]:
    """List the tables of a folder, relative to it: all directly in it, or all in Hive's folders."""
    names, folders = storage.list_entries(uri)
    files = [name for name in names if file_suffix(name) in SUFFIXES]
    if not files:
        files = hive.list_hive_files(uri, folders)
    elif (partitioned := hive.find_hive_file(uri, folders)) is not None:
        raise ManifestError(
            f"{uri} has tables of its own, such as {files[0]}, and tables in folders that are "
            f"named NAME=VALUE, such as {partitioned}; move or name one of them"
        )
    if not files:
        text = f"{uri} contains no {', '.join(SUFFIXES)} file"
        raise ManifestError(text + explain_no_tables(uri))
    return files


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
