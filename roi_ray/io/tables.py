"""Find and read tables: one file of rows or a folder of them, local or on S3."""

import hashlib
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

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

    def read_columns(self, names: Collection[str], categories: Collection[str] = ()) -> pa.Table:
        """Read some columns of all rows as one chunk, and of Parquet files no other column.

        Args:
            names: columns, each of which some file has.
            categories: those of `names` to return as dictionaries, which hold each value once.

        Raises:
            ManifestError: as `read_all`; or Parquet files have more or fewer rows than they claim.
        """
        if not self._is_parquet:
            return _to_categories(self._all_rows.select(names), categories)
        parts = self._for_each_file(
            lambda number: self._read_columns_of_file(number, names, categories)
        )
        table = self._concatenate(list(chain.from_iterable(parts))).select(names)
        self._check_count(self.row_count, len(table))
        return table

    def find_filled(self, names: Collection[str]) -> set[str]:
        """Find the columns that have a value in some row; reads no more files than needed."""
        if not self._is_parquet:
            return {name for name in names if self._all_rows[name].null_count < self.row_count}
        filled: set[str] = set()
        for number in range(len(self.files)):
            missing = [name for name in names if name not in filled]
            if not missing:
                break
            for piece in self._read_columns_of_file(number, missing, ()):
                filled |= {n for n in piece.column_names if piece[n].null_count < len(piece)}
        return filled

    def read_numbered(self, rows: Sequence[int]) -> pa.Table:
        """Read some rows by their number from 0, in the given order, and few others with them."""
        if not self._is_parquet:
            return self._all_rows.take(pa.array(rows, pa.int64()))
        starts = np.cumsum([0, *(count for count, _, _ in self._footers)])
        wanted = np.asarray(rows, np.int64)
        files = np.searchsorted(starts, wanted, side="right") - 1
        tables, places = [self._columns], []
        for number in np.unique(files):
            inside = np.flatnonzero(files == number)
            tables.append(self._read_rows_of_file(number, wanted[inside] - starts[number]))
            places.append(inside)
        order = np.argsort(np.concatenate([*places, np.empty(0, np.int64)]))
        return self._concatenate(tables).take(pa.array(order, pa.int64()))

    def _read_columns_of_file(
        self, number: int, names: Collection[str], categories: Collection[str]
    ) -> list[pa.Table]:
        with open_parquet(self.files[number]) as parquet:
            present = [name for name in names if name in parquet.schema_arrow.names]
            parts = [self._columns.select(names)]
            for group in range(parquet.num_row_groups):
                piece = validate(parquet.read_row_group(group, columns=present))
                piece = self._complete(piece, number)
                piece = piece.select([name for name in names if name in piece.column_names])
                parts.append(_to_categories(piece, categories))
        parts[0] = _to_categories(parts[0], categories)
        return parts

    def _read_rows_of_file(self, number: int, rows: NDArray[np.int64]) -> pa.Table:
        with open_parquet(self.files[number]) as parquet:
            counts = [parquet.metadata.row_group(i).num_rows for i in range(parquet.num_row_groups)]
            starts = np.cumsum([0, *counts])
            groups = np.searchsorted(starts, rows, side="right") - 1
            used = np.unique(groups)
            table = validate(parquet.read_row_groups(used.tolist()))
        shift = np.cumsum([0, *(counts[group] for group in used)])[:-1] - starts[used]
        table = table.take(pa.array(rows + shift[np.searchsorted(used, groups)]))
        return self._complete(table, number)

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


def _to_categories(table: pa.Table, names: Collection[str]) -> pa.Table:
    """Encode the named columns as dictionaries."""
    for index, name in enumerate(table.column_names):
        if name in names and not pa.types.is_dictionary(table[name].type):
            table = table.set_column(index, name, table[name].dictionary_encode())
    return table


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
