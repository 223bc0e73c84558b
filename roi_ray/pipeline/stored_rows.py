"""The manifest rows that shards hold, as digests of 16 bytes, because memory may not hold the rows.

Digests are computed anew in each process and not stored, so how they are made may change.
"""

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from roi_ray import schema
from roi_ray.pipeline.shard_file import map_in_threads, read_manifest_rows

_BYTES = 16
_ROWS_PER_BATCH = 65_536


class StoredRows:
    """The manifest rows of some shards.

    Args:
        uris: URIs of the shards' files, one or more.

    Attributes:
        schema: columns of the manifest, without `error_kind` and `error`.
    """

    def __init__(self, uris: Sequence[str]) -> None:
        self._uris = uris
        digests: list[NDArray[np.bytes_]] = []
        for rows in self._read():
            self.schema = rows.drop_columns(schema.ERRORS).schema
            digests.append(digest_rows(rows))
        self._digests = np.concatenate(digests)
        self._digests.sort()

    def __len__(self) -> int:
        return len(self._digests)

    def locate(self, rows: pa.Table) -> NDArray[np.int64]:
        """Return the position of each row among the stored ones; -1 if it is not one of them.

        Args:
            rows: rows of a manifest that has the columns of `schema`.
        """
        wanted = digest_rows(_with_columns(rows, self.schema))
        positions = np.searchsorted(self._digests, wanted).clip(max=len(self) - 1)
        return np.where(self._digests[positions] == wanted, positions, -1)

    def first_row_of(self, positions: NDArray[np.int64]) -> dict[str, object]:
        """Read the first row, in the order of the shards, that is at one of some positions."""
        wanted = self._digests[positions]
        for rows in self._read():
            if (is_wanted := np.isin(digest_rows(rows), wanted)).any():
                row: dict[str, object] = rows.slice(int(is_wanted.argmax()), 1).to_pylist()[0]
                return row
        raise LookupError("no row is at these positions")

    def _read(self) -> Iterator[pa.Table]:
        return map_in_threads(read_manifest_rows, self._uris)


def digest_rows(rows: pa.Table) -> NDArray[np.bytes_]:
    """Compute a digest of all columns of each row: (N,), 16 bytes each."""
    digests: list[bytes] = []
    # In small batches, because the Python objects of a row take ten times its memory.
    for batch in rows.to_batches(max_chunksize=_ROWS_PER_BATCH):
        values = zip(*(column.to_pylist() for column in batch.columns), strict=True)
        digests += (
            hashlib.blake2b(repr(row).encode(), digest_size=_BYTES).digest() for row in values
        )
    return np.frombuffer(b"".join(digests), f"S{_BYTES}")


def _with_columns(rows: pa.Table, columns: pa.Schema) -> pa.Table:
    """Return rows with the columns that `read_manifest_rows` gives them, in the same order."""
    stored = {name: rows[name] for name in columns.names}
    for name in schema.ERRORS:
        is_there = name in rows.column_names
        stored[name] = rows[name] if is_there else pa.nulls(len(rows), pa.string())
    return pa.table(stored)
