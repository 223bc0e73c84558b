"""Read a manifest: the table of pairs to score.

The files are read in pieces, and each piece is checked once, so that everything wrong with a row is
reported before a model is loaded. A small manifest is kept in memory. A manifest of many millions
of rows is spread over files on the local disk, all pairs of one reference in one file.
"""

import hashlib
import shutil
import tempfile
import weakref
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from roi_ray import schema
from roi_ray.errors import ManifestError
from roi_ray.io.columns import (
    as_text,
    check_columns,
    check_filled,
    check_parquet_types,
    first_flagged_row,
)
from roi_ray.io.parts import PartFiles, read_part
from roi_ray.io.tables import TableFiles, find_table_files, sha256_of_rows

PART_ROWS = 2_000_000
"""Approximate number of rows kept in memory; with the data computed from them, a gigabyte."""

_TEXT = (schema.PAIR_ID, schema.REFERENCE, schema.DISTORTED, schema.MASK)
_PIECE_ROWS = 500_000  # the SHA-256 of a large manifest depends on it


@dataclass(frozen=True)
class Manifest:
    """A checked manifest.

    Attributes:
        uri: the file or folder that was read, absolute.
        rows: number of pairs.
        base: URI of the folder that relative URIs are relative to.
        sha256: SHA-256 of the rows. It may differ for equal rows of other types or encodings.
    """

    uri: str
    rows: int
    base: str
    sha256: str
    _parts: list[pa.Table | Path]

    def parts(self) -> Iterator[pa.Table]:
        """Yield the rows, about `PART_ROWS` at a time; all pairs of a reference are in one part.

        Columns: `pair_id`, `reference`, `distorted`, `mask` if the manifest has it, then all others
        in the order of the files.
        """
        for part in self._parts:
            yield read_part(part) if isinstance(part, Path) else part

    @property
    def table(self) -> pa.Table:
        """All rows; in the manifest's order if there is only one part."""
        return pa.concat_tables(list(self.parts()))


def read_manifest(uri: str, limit: int | None = None, part_rows: int = PART_ROWS) -> Manifest:
    """Read and check a manifest.

    Args:
        uri: a `.parquet`, `.csv`, `.jsonl` or `.ndjson` file, or a folder of files of one of these.
        limit: number of rows to read from the start; None for all.
        part_rows: the largest number of rows to keep in memory. CSV and JSON Lines are read as a
            whole first.

    Raises:
        ManifestError: no such file, no rows, a missing column, an empty URI (but for `distorted` of
            a row that failed in an earlier step, with `error_kind` and `error`), a duplicate
            `pair_id`, a column that scoring would overwrite or that Parquet cannot hold. The
            message names the row, counted from 1.
    """
    files = find_table_files(uri, _TEXT)
    rows = files.row_count if limit is None else min(files.row_count, limit)
    if rows <= part_rows:
        return _read_into_memory(files, rows)
    return _spread_over_disk(files, rows, part_count=-(-rows // part_rows))


def _read_into_memory(files: TableFiles, rows: int) -> Manifest:
    table = _check_piece(files.read_first(rows), files.uri)
    if pc.count_distinct(table[schema.PAIR_ID]).as_py() < rows:
        _check_unique_ids(files, [table], suspects=_hash_ids(table))
    return Manifest(files.uri, rows, files.base, sha256_of_rows(table), [table])


def _spread_over_disk(files: TableFiles, rows: int, part_count: int) -> Manifest:
    folder = tempfile.mkdtemp(prefix="roi-ray-manifest-")
    try:
        manifest = _spread_over_folder(Path(folder), files, rows, part_count)
    except BaseException as error:
        shutil.rmtree(folder)
        if isinstance(error, OSError):
            raise ManifestError(
                f"manifest {files.uri}: cannot spread it over {folder}: {error}"
            ) from error
        raise
    weakref.finalize(manifest, shutil.rmtree, folder)
    return manifest


def _spread_over_folder(folder: Path, files: TableFiles, rows: int, part_count: int) -> Manifest:
    sha256, hashes_of_pieces = hashlib.sha256(), [np.empty(0, np.int64)]
    with PartFiles(folder, part_count) as parts:
        for _, piece in _read_checked_pieces(files, rows):
            sha256.update(sha256_of_rows(piece).encode())
            hashes_of_pieces.append(_hash_ids(piece))
            parts.write(piece)
    id_hashes = np.concatenate(hashes_of_pieces)
    hashes_of_pieces.clear()
    id_hashes.sort()
    repeated = id_hashes[1:][id_hashes[1:] == id_hashes[:-1]]
    if len(repeated):
        pieces = (piece for _, piece in _read_checked_pieces(files, rows))
        _check_unique_ids(files, pieces, suspects=repeated)
    return Manifest(files.uri, rows, files.base, sha256.hexdigest(), list(parts.non_empty()))


def _read_checked_pieces(files: TableFiles, rows: int) -> Iterator[tuple[int, pa.Table]]:
    """Yield checked pieces, each with the number of its first row, counted from 0."""
    first_row = 0
    for piece in files.read_pieces(rows, _PIECE_ROWS):
        yield first_row, _check_piece(piece, files.uri, first_row)
        first_row += len(piece)


def _check_piece(table: pa.Table, uri: str, first_row: int = 0) -> pa.Table:
    """Check each row by itself, and return the rows with a `pair_id`, columns in order.

    Args:
        table: consecutive rows as they were read.
        uri: URI of the manifest, for error messages.
        first_row: number of the table's first row, counted from 0.
    """

    def fail(text: str) -> NoReturn:
        raise ManifestError(f"manifest {uri}: {text}")

    check_columns(table, schema.URIS, fail)
    names = table.column_names
    # SQL ignores the case of names: a column PSNR would hide the scores' psnr.
    written = [name for name in names if name.lower() in schema.MEANINGS]
    if overwritten := [name for name in written if name not in schema.ERRORS]:
        fail(f"column {overwritten[0]!r} is one that scoring writes; rename or drop it")
    if len(written) == 1:
        fail(f"column {written[0]!r} needs its companion; give both of {', '.join(schema.ERRORS)}")
    for name in (name for name in _TEXT if name in names):
        kind = table[name].type
        # pandas writes a column without any value as floating-point numbers.
        if pa.types.is_floating(kind) and table[name].null_count < len(table):
            fail(f"column {name!r} is of type {kind}, which loses digits; write it as text")
    for name in (*schema.URIS, *written):
        table = as_text(table, name, fail)
    for name in written:  # CSV has no nulls
        is_empty = pc.equal(table[name], "")
        column = pc.if_else(is_empty, pa.scalar(None, pa.string()), table[name])
        table = table.set_column(table.column_names.index(name), name, column)
    if written:
        same = pc.equal(*(pc.is_valid(table[name]) for name in schema.ERRORS))
        if (row := first_flagged_row(pc.invert(same))) is not None:
            fail(f"row {first_row + row + 1} has only one of {' and '.join(schema.ERRORS)}")
    check_filled(table, schema.REFERENCE, fail, first_row)
    check_filled(table, schema.DISTORTED, fail, first_row, unless=find_failed(table))
    if schema.MASK in names:
        table = as_text(table, schema.MASK, fail)
    if schema.PAIR_ID in names:
        table = as_text(table, schema.PAIR_ID, fail)
        if (row := first_flagged_row(pc.is_null(table[schema.PAIR_ID]))) is not None:
            row += first_row + 1
            fail(f"row {row} has no {schema.PAIR_ID!r}; give every row one, or drop the column")
    else:
        table = table.append_column(schema.PAIR_ID, _compute_ids(table))
    leading = [name for name in _TEXT if name in table.column_names]
    table = table.select(leading + [name for name in table.column_names if name not in leading])
    check_parquet_types(table, fail)
    return table


def find_failed(table: pa.Table) -> pa.ChunkedArray | None:
    """Return which rows of a manifest failed in an earlier step; None if it does not tell."""
    return pc.is_valid(table[schema.ERROR]) if schema.ERROR in table.column_names else None


def _compute_ids(table: pa.Table) -> pa.Array:
    """Compute an id for each row from its two URIs as written.

    The ids stay the same if images and manifest are moved together.
    """
    pairs = zip(*(table[name].to_pylist() for name in schema.URIS), strict=True)
    texts = ("\n".join(uri or "" for uri in pair) for pair in pairs)
    return pa.array(hashlib.sha256(text.encode()).hexdigest()[:32] for text in texts)


def _hash_ids(table: pa.Table) -> NDArray[np.int64]:
    return np.fromiter(map(hash, table[schema.PAIR_ID].to_pylist()), np.int64, len(table))


def _check_unique_ids(
    files: TableFiles, pieces: Iterable[pa.Table], suspects: NDArray[np.int64]
) -> None:
    """Raise ManifestError if two rows have the same id; compare only ids with a suspect hash."""
    row_of_id: dict[str, int] = {}
    first_row = 0
    for piece in pieces:
        for index in np.flatnonzero(np.isin(_hash_ids(piece), suspects)).tolist():
            pair_id, row = piece[schema.PAIR_ID][index].as_py(), first_row + index + 1
            if (earlier := row_of_id.setdefault(pair_id, row)) != row:
                rows = f"manifest {files.uri}: rows {earlier} and {row}"
                if schema.PAIR_ID in files.column_names:
                    raise ManifestError(f"{rows} have the same {schema.PAIR_ID!r}, {pair_id!r}")
                raise ManifestError(
                    f"{rows} are the same pair; drop one, or tell them apart by {schema.PAIR_ID!r}"
                )
        first_row += len(piece)
