"""Tables whose folders hold columns, in Hive's way: `codec=jpeg/quality=50/part-0.parquet`.

Spark, DuckDB, polars, pandas and pyarrow write them. The name of a folder is a column and the value
that all rows below it have.
"""

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeAlias
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc

from roi_ray.errors import ManifestError
from roi_ray.io import storage
from roi_ray.io.formats import SUFFIXES, file_suffix

Partition: TypeAlias = Mapping[str, str | None]
"""The columns that a file's folders name, with their values as text; None for a missing value."""

_LISTINGS = 16  # wait for the network or the disk at the same time


def list_hive_files(uri: str, folders: Sequence[str]) -> list[str]:
    """List the tables in those folders that are named `NAME=VALUE`, at every level.

    Args:
        uri: absolute URI of the folder that the table's URI names.
        folders: names of the folders in it; those that are not named so are not looked into.

    Returns:
        paths relative to `uri`, in the order of the folders' and the files' names.

    Raises:
        ManifestError: a table lies below, in a folder that is not named so.
    """
    top = [name for name in folders if is_partition(name)]
    with ThreadPoolExecutor(_LISTINGS) as threads:
        trees = threads.map(storage.list_tree, [storage.join(uri, name) for name in top])
        files = [f"{name}/{file}" for name, tree in zip(top, trees, strict=True) for file in tree]
    files = [file for file in files if file_suffix(file) in SUFFIXES]
    for file in files:
        if not all(map(is_partition, file.split("/")[:-1])):
            raise ManifestError(
                f"{uri} mixes folders that are named NAME=VALUE and others: {file} lies in one "
                "that is not; move it"
            )
    return files


def find_hive_file(uri: str, folders: Sequence[str]) -> str | None:
    """Find a table as `list_hive_files` does, but look only into the first folder of each level."""
    path = ""
    while folder := next(filter(is_partition, folders), None):
        path += f"{folder}/"
        files, folders = storage.list_entries(storage.join(uri, path))
        table = next((file for file in files if file_suffix(file) in SUFFIXES), None)
        if table is not None:
            return path + table
    return None


def is_partition(folder: str) -> bool:
    """Return whether a folder's name is a column and its value."""
    return folder.find("=") > 0


def parse_partitions(uri: str, files: Sequence[str]) -> list[Partition]:
    """Parse the names of the files' folders.

    Args:
        uri: the folder of all files, for error messages.
        files: from `list_hive_files`.

    Raises:
        ManifestError: a name occurs twice in a path, or is not UTF-8.
    """
    from pyarrow import dataset  # takes most of a second

    names: dict[str, None] = {}
    for file in files:
        keys = [unquote(folder.partition("=")[0]) for folder in file.split("/")[:-1]]
        if repeated := {key for key in keys if keys.count(key) > 1}:
            raise ManifestError(f"{uri}: {file} names {min(repeated)!r} more than once")
        names.update(dict.fromkeys(keys))
    fields = [pa.field(name, pa.string()) for name in names]
    partitioning = dataset.partitioning(pa.schema(fields), flavor="hive")
    try:
        parsed = [dataset.get_partition_keys(partitioning.parse(file)) for file in files]
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise ManifestError(f"{uri}: {error}") from error
    return [{name: keys[name] for name in names if name in keys} for keys in parsed]


def infer_types(
    partitions: Collection[Partition], text_columns: Collection[str]
) -> dict[str, pa.DataType]:
    """Infer the types of the columns, as `pyarrow.dataset` does: int32 where all values fit.

    Args:
        partitions: from `parse_partitions`, of all files.
        text_columns: columns that are text, whatever their values look like.

    Returns:
        type by column; text also where two spellings, such as 7 and 007, are one number.
    """
    values: dict[str, set[str]] = {}
    for partition in partitions:
        for name, text in partition.items():
            values.setdefault(name, set()).update(() if text is None else (text,))
    return {
        name: pa.string() if name in text_columns or not _are_integers(texts) else pa.int32()
        for name, texts in values.items()
    }


def add_partition(
    table: pa.Table, partition: Partition, types: Mapping[str, pa.DataType], file: str
) -> pa.Table:
    """Append the columns that a file's folders name to its rows.

    Args:
        table: rows of the file.
        partition: see `parse_partitions`.
        types: from `infer_types`.
        file: URI of the file, for error messages.

    Raises:
        ManifestError: the file has such a column itself, with another value.
    """
    for name, text in partition.items():
        if name in table.column_names:
            _check_equal(table[name], name, text, file)
        else:
            value = pa.scalar(text, pa.string()).cast(types[name])
            table = table.append_column(name, pa.repeat(value, len(table)))
    return table


def _check_equal(column: pa.ChunkedArray, name: str, text: str | None, file: str) -> None:
    """Check that all values of a column are the one that the file's folder names."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    try:
        expected = pa.scalar(text, pa.string()).cast(column.type)
        is_equal = pc.is_null(column) if text is None else pc.equal(column, expected)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        is_equal = pa.chunked_array([pa.repeat(pa.scalar(False), len(column))])
    row = pc.index(pc.fill_null(is_equal, fill_value=False), value=False).as_py()
    if row >= 0:
        raise ManifestError(
            f"{file}: its column {name!r} has the value {column[row].as_py()!r}, but its folder "
            f"says {text!r}; rename the column, or the folder"
        )


def _are_integers(texts: set[str]) -> bool:
    try:
        numbers = pa.array(sorted(texts), pa.string()).cast(pa.int32())
    except pa.ArrowInvalid:
        return False
    return 0 < len(texts) == len(set(numbers.to_pylist()))
