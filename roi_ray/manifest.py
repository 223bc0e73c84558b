"""Read a manifest of pairs: Parquet, CSV or JSON Lines; one file or a folder of them; local or S3.

Everything that can be wrong with the rows is found here, before any model is loaded.
"""

import hashlib
from dataclasses import dataclass
from typing import NoReturn

import pyarrow as pa
import pyarrow.compute as pc

from roi_ray import schema, storage
from roi_ray.errors import ManifestError
from roi_ray.tables import Fail, as_text, check_columns, check_filled, first_row, read_table

_TEXT = (schema.PAIR_ID, schema.REFERENCE, schema.DISTORTED, schema.MASK)


@dataclass(frozen=True)
class Manifest:
    """A checked manifest.

    Attributes:
        table: one row a pair, in the manifest's order: `pair_id`, `reference`, `distorted`,
            `mask` if there is one, then the carried columns.
        base: URI of the folder that relative URIs are relative to.
        sha256: of the rows, whatever file format they came in.
    """

    table: pa.Table
    base: str
    sha256: str


def read_manifest(uri: str, limit: int | None = None) -> Manifest:
    """Read and check a manifest.

    Args:
        uri: a `.parquet`, `.csv`, `.jsonl` or `.ndjson` file, or a folder of files of one of these.
        limit: keep the first rows only.

    Raises:
        ManifestError: no such file, no rows, a missing column, an empty URI, a duplicate `pair_id`,
            a column that scoring would overwrite; the text names the row, counted from 1.
    """
    table, base = read_table(uri, _TEXT)
    if limit is not None:
        table = table.slice(0, limit)
    table = _checked(table, storage.absolute(uri))
    return Manifest(table, base, digest(table))


def _checked(table: pa.Table, uri: str) -> pa.Table:
    def fail(text: str) -> NoReturn:
        raise ManifestError(f"manifest {uri}: {text}")

    check_columns(table, schema.URIS, fail)
    names = table.column_names
    if overwritten := [name for name in schema.SCORES.names if name in names]:
        fail(f"column {overwritten[0]!r} is one that scoring writes; rename or drop it")
    for name in schema.URIS:
        table = as_text(table, name, fail)
        check_filled(table, name, fail)
    if schema.MASK in names:
        table = as_text(table, schema.MASK, fail)
    if schema.PAIR_ID in names:
        table = as_text(table, schema.PAIR_ID, fail)
        if (row := first_row(pc.is_null(table[schema.PAIR_ID]))) is not None:
            fail(f"row {row + 1} has no {schema.PAIR_ID!r}; give every row one, or drop the column")
    else:
        table = table.append_column(schema.PAIR_ID, _pair_ids(table))
    _check_unique(table, fail, given=schema.PAIR_ID in names)
    leading = [name for name in _TEXT if name in table.column_names]
    return table.select(leading + [name for name in table.column_names if name not in leading])


def _pair_ids(table: pa.Table) -> pa.Array:
    """A stable id of the two URIs as they are written, so that a moved tree keeps its ids."""
    pairs = zip(*(table[name].to_pylist() for name in schema.URIS), strict=True)
    return pa.array(hashlib.sha256("\n".join(pair).encode()).hexdigest()[:32] for pair in pairs)


def _check_unique(table: pa.Table, fail: Fail, *, given: bool) -> None:
    ids = table[schema.PAIR_ID]
    if pc.count_distinct(ids).as_py() == table.num_rows:
        return
    seen: dict[str, int] = {}
    for row, pair_id in enumerate(ids.to_pylist()):
        if pair_id in seen:
            twins = f"rows {seen[pair_id] + 1} and {row + 1}"
            if given:
                fail(f"{twins} have the same {schema.PAIR_ID!r}, {pair_id!r}")
            fail(f"{twins} are the same pair; drop one, or tell them apart by {schema.PAIR_ID!r}")
        seen[pair_id] = row


def digest(table: pa.Table) -> str:
    """SHA-256 of a table's rows and columns, whatever file format they came in."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return hashlib.sha256(sink.getvalue()).hexdigest()
