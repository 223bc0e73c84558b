"""Spread the rows of a large table over files on the local disk, by their reference."""

import hashlib
from pathlib import Path
from types import TracebackType

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from roi_ray import schema


class PartFiles:
    """Arrow files, each with all rows of some references; a context manager, closed on exit.

    The text of a reference alone decides its file, so that every process chooses the same one.

    Args:
        folder: local folder of the files.
        count: number of files.
    """

    def __init__(self, folder: Path, count: int) -> None:
        self._paths = [folder / f"{number}.arrow" for number in range(count)]
        self._rows = np.zeros(count, np.int64)
        self._writers: list[pa.RecordBatchStreamWriter] = []

    def write(self, table: pa.Table) -> None:
        """Append each row to the file of its reference. All tables need the same columns."""
        if not self._writers:
            options = pa.ipc.IpcWriteOptions(compression="zstd")
            for path in self._paths:
                self._writers.append(pa.ipc.new_stream(str(path), table.schema, options=options))
        numbers = _part_numbers(table[schema.REFERENCE], len(self._paths))
        self._rows += np.bincount(numbers, minlength=len(self._paths))
        for number, writer in enumerate(self._writers):
            writer.write_table(table.filter(pa.array(numbers == number)))

    def non_empty(self) -> list[Path]:
        """Return the files that have rows."""
        return [path for path, rows in zip(self._paths, self._rows, strict=True) if rows]

    def __enter__(self) -> "PartFiles":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for writer in self._writers:
            writer.close()


def read_part(path: Path) -> pa.Table:
    """Read the rows of one file in the order in which they were written, as one chunk."""
    with pa.ipc.open_stream(str(path)) as reader:
        return reader.read_all().combine_chunks()


def _part_numbers(references: pa.ChunkedArray, count: int) -> NDArray[np.int64]:
    """Return the number of each row's file, 0 to count - 1."""
    # Python's own hash of a text differs between processes.
    encoded = references.combine_chunks().dictionary_encode()
    hashes = (hashlib.sha256(uri.encode()).digest() for uri in encoded.dictionary.to_pylist())
    by_reference = np.array([int.from_bytes(sha[:8]) % count for sha in hashes], np.int64)
    by_row: NDArray[np.int64] = by_reference[encoded.indices.to_numpy()]
    return by_row
