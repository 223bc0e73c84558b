"""Read a manifest of pairs: Parquet, CSV or JSON Lines; one file or a folder of them; local or S3.

Everything that can be wrong with the rows is found here, before any model is loaded.

A manifest of many millions of rows is not held in memory: it is spread over parts on the local disk
by a hash of the reference, so that all pairs of one reference are in one part. Which part that is
depends on the manifest alone.
"""

import hashlib
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from roi_ray import schema
from roi_ray.errors import ManifestError
from roi_ray.io import storage
from roi_ray.io.columns import (
    as_text,
    check_columns,
    check_filled,
    check_parquet_types,
    first_flagged_row,
)
from roi_ray.io.tables import Source, find_source, sha256_of_rows

PART_ROWS = 2_000_000
"""Rows that are held in memory at once, about: a gigabyte of URIs and what is made of them."""

_TEXT = (schema.PAIR_ID, schema.REFERENCE, schema.DISTORTED, schema.MASK)
_BATCH_ROWS = 500_000
_ROWS_A_BYTE = 256
"""At most, of a Parquet file: of few names in many combinations it holds several in a byte."""


@dataclass(frozen=True)
class Manifest:
    """A checked manifest.

    Attributes:
        uri: where it was read, absolute.
        rows: how many there are.
        base: URI of the folder that relative URIs are relative to.
        sha256: of the rows; of the same rows with other types or encodings it may be another.
    """

    uri: str
    rows: int
    base: str
    sha256: str
    _parts: list[pa.Table | Path]

    def parts(self) -> Iterator[pa.Table]:
        """The rows, some millions at a time; all pairs of a reference are in one part.

        Columns: `pair_id`, `reference`, `distorted`, `mask` if there is one, the carried ones.
        """
        for part in self._parts:
            yield _load(part) if isinstance(part, Path) else part

    @property
    def table(self) -> pa.Table:
        """All rows at once; in the manifest's order if there is one part."""
        return pa.concat_tables(list(self.parts()))


def read_manifest(uri: str, limit: int | None = None, part_rows: int = PART_ROWS) -> Manifest:
    """Read and check a manifest.

    Args:
        uri: a `.parquet`, `.csv`, `.jsonl` or `.ndjson` file, or a folder of files of one of these.
        limit: keep the first rows only.
        part_rows: of a larger manifest, about as many are held in memory. Parquet only: of other
            formats a whole file is read at once.

    Raises:
        ManifestError: no such file, no rows, a missing column, an empty URI, a duplicate `pair_id`,
            a column that scoring would overwrite or cannot carry; the text names the row, counted
            from 1.
    """
    source = find_source(uri, _TEXT)
    name = storage.absolute(uri)
    rows = source.rows()
    if rows > _ROWS_A_BYTE * source.size():
        raise ManifestError(f"manifest {name}: it claims {rows} rows, which its size does not hold")
    if limit is not None:
        rows = min(rows, limit)
    if rows <= part_rows:
        table = _checked(source.read(limit), name)
        _check_all_there(len(table), rows, name)
        if pc.count_distinct(table[schema.PAIR_ID]).as_py() < rows:
            _fail_on_twins(source, name, rows, _hashes(table))
        return Manifest(name, rows, source.base, sha256_of_rows(table), [table])
    return _spread(source, name, rows, -(-rows // part_rows))


def _spread(source: Source, uri: str, rows: int, count: int) -> Manifest:
    """A manifest in parts on disk, which last as long as it does."""
    folder = tempfile.mkdtemp(prefix="roi-ray-manifest-")
    try:
        return _spread_into(Path(folder), source, uri, rows, count)
    except BaseException as error:
        shutil.rmtree(folder)
        if isinstance(error, OSError):
            raise ManifestError(
                f"manifest {uri}: cannot spread it over {folder}: {error}"
            ) from error
        raise


def _spread_into(folder: Path, source: Source, uri: str, rows: int, count: int) -> Manifest:
    files = [folder / f"{number}.arrow" for number in range(count)]
    hashes, digests = [np.empty(0, np.int64)], hashlib.sha256()
    sizes = np.zeros(count, np.int64)
    writers: list[pa.RecordBatchStreamWriter] = []
    try:
        for _, piece in _pieces(source, uri, rows):
            digests.update(sha256_of_rows(piece).encode())
            hashes.append(_hashes(piece))
            if not writers:
                options = pa.ipc.IpcWriteOptions(compression="zstd")
                writers += [pa.ipc.new_stream(str(f), piece.schema, options=options) for f in files]
            part = _part_of(piece[schema.REFERENCE], count)
            sizes += np.bincount(part, minlength=count)
            for number, writer in enumerate(writers):
                writer.write_table(piece.filter(pa.array(part == number)))
    finally:
        for writer in writers:
            writer.close()
    _check_all_there(sum(map(len, hashes)), rows, uri)
    every = np.concatenate(hashes)
    hashes.clear()
    every.sort()
    if len(twice := every[1:][every[1:] == every[:-1]]):
        _fail_on_twins(source, uri, rows, twice)
    kept = [file for file, size in zip(files, sizes, strict=True) if size]
    manifest = Manifest(uri, rows, source.base, digests.hexdigest(), list(kept))
    weakref.finalize(manifest, shutil.rmtree, folder)
    return manifest


def _check_all_there(found: int, rows: int, uri: str) -> None:
    if found != rows:
        raise ManifestError(f"manifest {uri}: {rows} rows are claimed, {found} are there")


def _pieces(source: Source, uri: str, rows: int) -> Iterator[tuple[int, pa.Table]]:
    """Checked rows with the number of the first one, some at a time."""
    done = 0
    for piece in source.pieces(_BATCH_ROWS):
        checked = _checked(piece.slice(0, rows - done), uri, done)
        yield done, checked
        done += len(checked)
        if done == rows:
            return


def _part_of(references: pa.ChunkedArray, count: int) -> NDArray[np.int64]:
    """The part that each row goes to: the same in every process, for all rows of a reference."""
    encoded = references.combine_chunks().dictionary_encode()
    digests = (hashlib.sha256(name.encode()) for name in encoded.dictionary.to_pylist())
    parts = np.array([int.from_bytes(one.digest()[:8]) % count for one in digests], np.int64)
    taken: NDArray[np.int64] = parts[encoded.indices.to_numpy()]
    return taken


def _load(file: Path) -> pa.Table:
    with pa.ipc.open_stream(str(file)) as reader:
        return reader.read_all().combine_chunks()


def _checked(table: pa.Table, uri: str, first: int = 0) -> pa.Table:
    """Rows in their canonical form, each by itself beyond reproach.

    Args:
        table: as read.
        uri: of the manifest.
        first: number of the table's first row.
    """

    def fail(text: str) -> NoReturn:
        raise ManifestError(f"manifest {uri}: {text}")

    check_columns(table, schema.URIS, fail)
    names = table.column_names
    # SQL takes no notice of a name's case: of PSNR and psnr it would give the wrong one.
    if overwritten := [name for name in names if name.lower() in schema.SCORES.names]:
        fail(f"column {overwritten[0]!r} is one that scoring writes; rename or drop it")
    # Without any value in it, a column may have any type.
    for name in (each for each in _TEXT if each in names and table[each].null_count < len(table)):
        if pa.types.is_floating(kind := table[name].type):
            fail(f"column {name!r} is of type {kind}, which loses digits; write it as text")
    for name in schema.URIS:
        table = as_text(table, name, fail)
        check_filled(table, name, fail, first)
    if schema.MASK in names:
        table = as_text(table, schema.MASK, fail)
    if schema.PAIR_ID in names:
        table = as_text(table, schema.PAIR_ID, fail)
        if (row := first_flagged_row(pc.is_null(table[schema.PAIR_ID]))) is not None:
            row += first + 1
            fail(f"row {row} has no {schema.PAIR_ID!r}; give every row one, or drop the column")
    else:
        table = table.append_column(schema.PAIR_ID, _pair_ids(table))
    leading = [name for name in _TEXT if name in table.column_names]
    table = table.select(leading + [name for name in table.column_names if name not in leading])
    check_parquet_types(table, fail)
    return table


def _pair_ids(table: pa.Table) -> pa.Array:
    """A stable id of the two URIs as they are written, so that a moved tree keeps its ids."""
    pairs = zip(*(table[name].to_pylist() for name in schema.URIS), strict=True)
    return pa.array(hashlib.sha256("\n".join(pair).encode()).hexdigest()[:32] for pair in pairs)


def _hashes(table: pa.Table) -> NDArray[np.int64]:
    return np.fromiter(map(hash, table[schema.PAIR_ID].to_pylist()), np.int64, len(table))


def _fail_on_twins(source: Source, uri: str, rows: int, suspects: NDArray[np.int64]) -> None:
    """Name two rows of one id, if there are any among those whose ids have the same hash."""
    given = schema.PAIR_ID in source.names()
    seen: dict[str, int] = {}
    for start, piece in _pieces(source, uri, rows):
        for row in np.flatnonzero(np.isin(_hashes(piece), suspects)).tolist():
            pair_id = piece[schema.PAIR_ID][row].as_py()
            if pair_id in seen:
                twins = f"manifest {uri}: rows {seen[pair_id] + 1} and {start + row + 1}"
                if given:
                    raise ManifestError(f"{twins} have the same {schema.PAIR_ID!r}, {pair_id!r}")
                raise ManifestError(
                    f"{twins} are the same pair; drop one, or tell them apart by {schema.PAIR_ID!r}"
                )
            seen[pair_id] = start + row
