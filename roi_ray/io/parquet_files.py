"""Write Parquet files that are larger than memory, whole or not at all."""

import os
import tempfile
from collections.abc import Iterable, Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from roi_ray.io import storage

_ROWS_PER_GROUP = 100_000


def write_tables(
    uri: str, tables: Iterable[pa.Table], metadata: dict[str, str] | None = None
) -> int:
    """Write tables to one Parquet file, which appears when it is complete.

    Args:
        uri: URI of the file.
        tables: tables of the same columns; each is in memory only while it is written.
        metadata: metadata of the file; that of the tables is dropped.

    Returns:
        number of rows; if it is 0, no file is written.

    Raises:
        StorageError: the file cannot be written.
    """
    rows = 0
    with tempfile.TemporaryDirectory(prefix="roi-ray-parquet-") as folder:
        file = os.path.join(folder, "table.parquet")
        writer: pq.ParquetWriter | None = None
        with storage.explained_errors("write", file):
            for merged in _merge_small(tables):
                table = merged.replace_schema_metadata(metadata)
                writer = writer or pq.ParquetWriter(file, table.schema, compression="zstd")
                writer.write_table(table)
                rows += len(table)
            if writer is None:
                return 0
            writer.close()
        with pa.memory_map(file) as mapped:
            storage.write_bytes(uri, mapped.read_buffer())
    return rows


def _merge_small(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Concatenate small tables, as each table becomes a row group."""
    waiting: list[pa.Table] = []
    rows = 0
    for table in tables:
        waiting.append(table)
        rows += len(table)
        if rows >= _ROWS_PER_GROUP:
            yield pa.concat_tables(waiting)
            waiting, rows = [], 0
    if rows:
        yield pa.concat_tables(waiting)
