"""Further columns of the manifest that names a sweep's images, such as the kind of content.

Every cell of an image has the image's values, so that results can be grouped by them.
"""

from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from roi_ray import schema
from roi_ray.errors import OutputError
from roi_ray.io.columns import Fail, check_parquet_types
from roi_ray.runtime.logs import LOGGER

_OWN = (schema.PAIR_ID, *schema.URIS, schema.MASK)

WRITTEN = frozenset({*_OWN, *schema.SWEEP_PLAN, *schema.SWEEP_RESULTS, *schema.MEANINGS})
"""Columns that sweeps and scoring write themselves."""


def carry_columns(table: pa.Table, images: Sequence[str], fail: Fail) -> pa.Table | None:
    """Take the further columns of a manifest of images.

    A manifest of pairs, with the column `distorted`, has columns of its pairs besides those of its
    images. Of such a manifest only columns are taken that no sweep writes and that have one value
    per image.

    Args:
        table: the manifest.
        images: URI of the image of each row.
        fail: function to call with a message if a column cannot be carried.

    Returns:
        a row per distinct image, in the order of their first rows; None if there is no such column.
    """
    is_of_pairs = schema.DISTORTED in table.column_names
    own = {schema.REFERENCE, schema.MASK, schema.DISTORTED}
    names = [name for name in table.column_names if name not in own]
    # SQL ignores the case of names.
    if written := [name for name in names if name.lower() in WRITTEN]:
        if not is_of_pairs:
            fail(f"column {written[0]!r} is one that sweeps or scores write; rename or drop it")
        names = [name for name in names if name not in written]
    first_rows: dict[str, int] = {}
    for row, image in enumerate(images):
        first_rows.setdefault(image, row)
    first = [first_rows[image] for image in images]
    varying = [] if len(first_rows) == len(images) else _find_varying(table, names, first)
    for name, row in varying:
        if not is_of_pairs:
            fail(
                f"row {row + 1} has another {name} than an earlier row of the same image; a sweep "
                "has one value per image"
            )
        LOGGER.info("column %r is left out: it differs between rows of one image", name)
    kept = [name for name in names if name not in dict(varying)]
    if not kept:
        return None
    check_parquet_types(table.select(kept), fail)
    return _store(table.select(kept).take(list(first_rows.values())))


def _store(columns: pa.Table) -> pa.Table:
    """Write columns to Parquet and read them again: it gives some types back as others.

    Cells of a later command are compared with stored ones.
    """
    sink = pa.BufferOutputStream()
    pq.write_table(columns, sink)
    stored = pq.read_table(pa.BufferReader(sink.getvalue())).combine_chunks()
    return pa.table({name: stored[name] for name in stored.column_names})  # all may be null


def _find_varying(
    table: pa.Table, names: Sequence[str], first: Sequence[int]
) -> list[tuple[str, int]]:
    """Find the columns that differ between rows of one image, each with the first such row."""
    varying = []
    for name in names:
        values = list(map(repr, table[name].to_pylist()))  # NaN equals no value, and itself here
        rows = (row for row, value in enumerate(values) if value != values[first[row]])
        if (row := next(rows, None)) is not None:
            varying.append((name, row))
    return varying


def list_carried(cells: pa.Table) -> list[str]:
    """Return the names of the carried columns of a sweep's cells."""
    return [name for name in cells.column_names if name not in WRITTEN]


def match_carried(earlier: pa.Table, cells: pa.Table, output: str) -> pa.Table:
    """Give new cells the carried columns of a sweep that exists.

    A command may name images of the sweep without their columns, as in a folder: they keep their
    values. Images that are new then have null.

    Args:
        earlier: cells of the sweep.
        cells: cells that are to be added, or are there already.
        output: URI of the sweep, for messages.

    Raises:
        OutputError: the sweep lacks one of the columns, has it as another type, or has another
            value for an image.
    """
    before, now = list_carried(earlier), list_carried(cells)
    if lacking := [name for name in now if name not in before]:
        raise OutputError(
            f"{output} is a sweep without the column {lacking[0]!r}, which its cells would have to "
            "get: drop the column from the manifest of --images, or name another --output"
        )
    for name in before:
        known = _read_values(earlier, name)
        kind = earlier[name].type
        references = cells[schema.REFERENCE].to_pylist()
        if name not in now:
            values = pa.array([known.get(reference) for reference in references], kind)
            cells = cells.append_column(pa.field(name, kind), values)
            continue
        if cells[name].type != kind:
            raise OutputError(
                f"{output}: column {name!r} was of type {kind}, and is {cells[name].type} now; "
                "give it the same type, or name another --output"
            )
        for reference, value in zip(references, cells[name].to_pylist(), strict=True):
            if repr(known.get(reference, value)) != repr(value):
                raise OutputError(
                    f"{output}: {reference} had {name} {known[reference]!r}, and has {value!r} "
                    "now; keep the values of images that the sweep has, or name another --output"
                )
    return cells.select(earlier.column_names)


def _read_values(cells: pa.Table, name: str) -> Mapping[str, object]:
    """Read the value of each image."""
    columns = (cells[column].to_pylist() for column in (schema.REFERENCE, name))
    return dict(zip(*columns, strict=True))
