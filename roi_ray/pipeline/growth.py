"""Which rows of a manifest an output lacks, if it has shards of earlier manifests.

A manifest may add rows to those that the output has, anywhere, and change none of them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from roi_ray import schema
from roi_ray.errors import OutputError
from roi_ray.io.manifest import Manifest
from roi_ray.pipeline.history import earlier_shards, first_shard
from roi_ray.pipeline.output import Output
from roi_ray.pipeline.output_writer import OutputWriter
from roi_ray.pipeline.shard_file import Footer
from roi_ray.pipeline.stored_rows import StoredRows


@dataclass(frozen=True)
class Rest:
    """The rows of a manifest that no shard of an earlier manifest has.

    Attributes:
        manifest: the manifest.
        first_shard: number of the first shard of these rows.
        earlier: footers of the complete shards of earlier manifests, by number.
        is_new: which rows of each part of the manifest these are; None for all.
        columns: columns of the rows, in the order of the earlier shards.
    """

    manifest: Manifest
    first_shard: int = 0
    earlier: Mapping[int, Footer] = field(default_factory=dict)
    is_new: Sequence[NDArray[np.bool_]] | None = None
    columns: Sequence[str] = ()

    def parts(self) -> Iterator[pa.Table]:
        """Yield the rows in parts, as `Manifest.parts` does."""
        if self.is_new is None:
            yield from self.manifest.parts()
            return
        for rows, is_new in zip(self.manifest.parts(), self.is_new, strict=True):
            if is_new.any():
                errors = [name for name in schema.ERRORS if name in rows.column_names]
                yield rows.filter(pa.array(is_new)).select([*self.columns, *errors])


def find_rest(manifest: Manifest, output: Output, writer: OutputWriter) -> Rest:
    """Find the rows of a manifest that no shard of an earlier manifest has.

    A new manifest is recorded in the output, and then all complete shards are those of earlier
    ones. The same happens if an earlier shard is torn or gone: its rows come into new shards.

    Args:
        manifest: the manifest.
        output: the output, locked.
        writer: its writer.

    Raises:
        OutputError: rows of the output are missing from the manifest, or have changed; or the
            manifest has other columns.
    """
    recorded = earlier_shards(output.run)
    if not output.grows and not recorded:
        return Rest(manifest)
    complete = output.read_complete_shards()
    is_new_manifest = output.grows or not complete.keys() >= set(recorded)
    earlier = complete if is_new_manifest else {shard: complete[shard] for shard in recorded}
    is_new, columns = None, []
    if earlier:
        stored = StoredRows([output.shard_uri(shard) for shard in sorted(earlier)])
        _check_columns(next(manifest.parts()), stored, output)
        is_new, columns = _find_new_rows(manifest, stored, output), stored.schema.names
    if is_new_manifest:
        writer.record_manifest(earlier)
    return Rest(manifest, first_shard(output.run), earlier, is_new, columns)


def _find_new_rows(
    manifest: Manifest, stored: StoredRows, output: Output
) -> list[NDArray[np.bool_]]:
    """Find the rows of each part of a manifest that are not stored; refuse one that lacks some."""
    is_new, is_in_manifest = [], np.zeros(len(stored), dtype=bool)
    for rows in manifest.parts():
        positions = stored.locate(rows)
        is_new.append(positions < 0)
        is_in_manifest[positions[positions >= 0]] = True
    lost = np.flatnonzero(~is_in_manifest)
    if len(lost):
        row = stored.first_row_of(lost)
        raise OutputError(
            f"{output.uri} has {len(lost)} rows that are not in the manifest, or that have changed "
            f"in it, such as {row[schema.PAIR_ID]!r} ({row[schema.DISTORTED]}): "
            f"{_compare(row, manifest)}. "
            "A manifest can only add rows to an output: keep the rows that it has as they were, or "
            "name another --output"
        )
    return is_new


def _compare(row: Mapping[str, object], manifest: Manifest) -> str:
    """Say how a stored row differs from the manifest's row with the same `pair_id`."""
    for rows in manifest.parts():
        index = pc.index(rows[schema.PAIR_ID], row[schema.PAIR_ID]).as_py()
        if index < 0:
            continue
        given = rows.slice(index, 1).to_pylist()[0]
        for name, value in row.items():
            if repr(value) != repr(given.get(name)):
                return f"{name!r} was {value!r}, and is {given.get(name)!r} now"
    return "it is missing"


def _check_columns(rows: pa.Table, stored: StoredRows, output: Output) -> None:
    """Refuse a manifest whose columns are not those of the output, which would not be one table."""
    errors = [name for name in schema.ERRORS if name in rows.column_names]
    # Parquet gives some types back as others.
    sink = pa.BufferOutputStream()
    pq.write_table(rows.drop_columns(errors).slice(0, 0), sink)
    given = pq.read_schema(pa.BufferReader(sink.getvalue()))
    types = [{column.name: str(column.type) for column in each} for each in (stored.schema, given)]
    for name in dict.fromkeys([*types[0], *types[1]]):
        before, now = (each.get(name, "missing") for each in types)
        if before != now:
            raise OutputError(
                f"{output.uri} has a column {name!r} that is {before} there, and {now} in the "
                "manifest: rows that are added need the columns and types of those before. Give "
                "the manifest these columns, or name another --output"
            )
