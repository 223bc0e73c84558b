"""Read a manifest of pairs: Parquet, CSV or JSON Lines; one file or a folder of them; local or S3.

Everything that can be wrong with the rows is found here, before any model is loaded.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.json as pajson
import pyarrow.parquet as pq

from roi_ray import schema, storage
from roi_ray.errors import ManifestError

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
    uri = storage.absolute(uri)
    if storage.is_folder(uri):
        base, files = uri, [storage.join(uri, name) for name in storage.list_files(uri)]
        files = [file for file in files if _suffix(file) in _READERS]
        if not files:
            raise ManifestError(f"{uri} holds no {', '.join(_READERS)} file")
    else:
        base, files = storage.parent(uri), [uri]
    suffixes = sorted({_suffix(file) for file in files})
    if len(suffixes) > 1:
        raise ManifestError(f"{uri} mixes {' and '.join(suffixes)} files; give one of them")
    tables = [_read(file) for file in files]
    try:
        table = pa.concat_tables(tables, promote_options="permissive")
    except pa.ArrowInvalid as error:
        raise ManifestError(f"the files of {uri} have different columns: {error}") from error
    if limit is not None:
        table = table.slice(0, limit)
    table = _checked(table.replace_schema_metadata(None).combine_chunks(), uri)
    return Manifest(table, base, _digest(table))


def _read(file: str) -> pa.Table:
    reader = _READERS.get(_suffix(file))
    if reader is None:
        raise ManifestError(f"{file} ends in none of {', '.join(_READERS)}")
    data = storage.read_bytes(file)
    if not data:
        raise ManifestError(f"{file} is empty (0 bytes)")
    try:
        return reader(data)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise ManifestError(f"{file} cannot be read as {_suffix(file)}: {error}") from error


def _read_csv(data: bytes) -> pa.Table:
    # Ids and paths are text, even where all of them look like numbers.
    text = {name: pa.string() for name in _TEXT}
    options = pacsv.ConvertOptions(column_types=text, strings_can_be_null=True)
    return pacsv.read_csv(pa.BufferReader(data), convert_options=options)


_READERS: dict[str, Callable[[bytes], pa.Table]] = {
    ".parquet": lambda data: pq.read_table(pa.BufferReader(data)),
    ".csv": _read_csv,
    ".jsonl": lambda data: pajson.read_json(pa.BufferReader(data)),
    ".ndjson": lambda data: pajson.read_json(pa.BufferReader(data)),
}


def _suffix(file: str) -> str:
    name = file.split("/")[-1]
    return name[name.rfind(".") :].lower() if "." in name else name


def _checked(table: pa.Table, uri: str) -> pa.Table:
    def fail(text: str) -> NoReturn:
        raise ManifestError(f"manifest {uri}: {text}")

    names = table.column_names
    for name in schema.URIS:
        if name not in names:
            fail(f"column {name!r} is missing; there are {', '.join(map(repr, names)) or 'none'}")
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        fail(f"column {repeated[0]!r} is there more than once")
    if overwritten := [name for name in schema.SCORES.names if name in names]:
        fail(f"column {overwritten[0]!r} is one that scoring writes; rename or drop it")
    if table.num_rows == 0:
        fail("no rows")

    for name in schema.URIS:
        table = _as_text(table, name, fail)
        column = table[name]
        blank = pc.fill_null(pc.equal(pc.utf8_trim_whitespace(column), ""), fill_value=True)
        if (row := _first(blank)) is not None:
            fail(f"row {row + 1} has an empty {name!r}")
    if schema.MASK in names:
        table = _as_text(table, schema.MASK, fail)
    if schema.PAIR_ID in names:
        table = _as_text(table, schema.PAIR_ID, fail)
        if (row := _first(pc.is_null(table[schema.PAIR_ID]))) is not None:
            fail(f"row {row + 1} has no {schema.PAIR_ID!r}; give every row one, or drop the column")
    else:
        table = table.append_column(schema.PAIR_ID, _pair_ids(table))
    _check_unique(table, fail, given=schema.PAIR_ID in names)
    first = [name for name in _TEXT if name in table.column_names]
    return table.select(first + [name for name in table.column_names if name not in first])


def _as_text(table: pa.Table, name: str, fail: Callable[[str], NoReturn]) -> pa.Table:
    try:
        column = table[name].cast(pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        fail(f"column {name!r} is of type {table[name].type}, not text")
    return table.set_column(table.column_names.index(name), name, column)


def _pair_ids(table: pa.Table) -> pa.Array:
    """A stable id of the two URIs as they are written, so that a moved tree keeps its ids."""
    pairs = zip(*(table[name].to_pylist() for name in schema.URIS), strict=True)
    return pa.array(hashlib.sha256("\n".join(pair).encode()).hexdigest()[:32] for pair in pairs)


def _check_unique(table: pa.Table, fail: Callable[[str], NoReturn], *, given: bool) -> None:
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


def _first(flags: pa.ChunkedArray) -> int | None:
    row: int = pc.index(flags, value=True).as_py()
    return row if row >= 0 else None


def _digest(table: pa.Table) -> str:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return hashlib.sha256(sink.getvalue()).hexdigest()
