"""Divide a manifest into shards, and shards into work items of one reference each.

The manifest and the shard size alone decide which rows belong to a shard, so any other machine can
finish a run that was killed. A manifest may have many rows, so they are handled as arrays.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from roi_ray import schema
from roi_ray.pipeline.kind import SHARD

Rows = NDArray[np.int64]
"""Row numbers in one part of a manifest."""

# Columns of a work item: a reference, and some of its rows.
ROWS = "rows"
PAIR_IDS = "pair_ids"

_ROWS_PER_BLOCK = 16
_SMALLEST_BLOCK = 8
"""Rows of the smallest blocks. To prepare a reference again takes the time of one or two pairs."""
_MAX_BLOCKS = 8192


class PartPlan(NamedTuple):
    """One part of a manifest, and the shards that its rows form.

    Attributes:
        rows: the manifest's columns.
        shards: rows of each shard by its number, in the order in which they are written.
    """

    rows: pa.Table
    shards: dict[int, Rows]


def split_into_shards(manifest: pa.Table, shard_size: int) -> list[Rows]:
    """Assign each row to a shard.

    All rows of one reference (and mask) are adjacent, in the manifest's order; references come
    in the order of their first rows. A shard is filled with whole references up to `shard_size`
    rows; only a reference with more rows than that is spread over several shards.

    Args:
        manifest: rows with the columns `reference` and, optionally, `mask`.
        shard_size: largest number of rows per shard, 1 or more.

    Returns:
        the rows of each shard, in the order in which they are written.
    """
    group = _number_references(manifest)
    order = np.argsort(group, kind="stable")
    starts = find_run_starts(group[order])
    sizes = np.diff(starts, append=len(order))
    cuts = [0]
    for start, size in zip(starts.tolist(), sizes.tolist(), strict=True):
        if start + size - cuts[-1] > shard_size and start > cuts[-1]:
            cuts.append(start)
        while start + size - cuts[-1] > shard_size:
            cuts.append(cuts[-1] + shard_size)
    return np.split(order, cuts[1:])


def plan_parts(parts: Iterable[pa.Table], shard_size: int, first: int = 0) -> Iterator[PartPlan]:
    """Plan each part of a manifest; shards are numbered through all parts, from `first`."""
    for rows in parts:
        shards = dict(enumerate(split_into_shards(rows, shard_size), first))
        first += len(shards)
        yield PartPlan(rows, shards)


def make_work_items(
    manifest: pa.Table,
    shards: dict[int, Rows],
    lists: Iterable[str] = (schema.DISTORTED,),
    *,
    isolate: bool = False,
) -> pa.Table:
    """Make the work items for some rows of shards.

    Args:
        manifest: the rows, with their `pair_id`.
        shards: rows of each shard that lack a result, by its number, in the shard's order.
        lists: columns of the manifest that a work item has as lists, besides `pair_id`.
        isolate: whether each item has a single row, so that one that kills its process does not
            fail others.

    Returns:
        columns `shard`, `reference`, `mask`, and lists `rows`, `pair_ids` and those of `lists`.
    """
    rows = np.concatenate(list(shards.values()))
    shard = np.repeat(list(shards), [len(part) for part in shards.values()])
    if isolate:
        starts = np.arange(len(rows))
    else:
        starts = find_run_starts(_number_references(manifest)[rows], shard)
    offsets = np.append(starts, len(rows)).astype(np.int32)
    has_mask = schema.MASK in manifest.column_names
    shared = [schema.REFERENCE, schema.MASK] if has_mask else [schema.REFERENCE]
    first = manifest.select(shared).take(rows[starts])

    def to_lists(column: str) -> pa.ListArray:
        return pa.ListArray.from_arrays(offsets, manifest[column].take(rows).combine_chunks())

    return pa.table(
        {
            SHARD: pa.array(shard[starts], pa.int32()),
            schema.REFERENCE: first[schema.REFERENCE],
            schema.MASK: first[schema.MASK] if has_mask else pa.nulls(len(starts), pa.string()),
            ROWS: pa.ListArray.from_arrays(offsets, rows),
            PAIR_IDS: to_lists(schema.PAIR_ID),
            **{name: to_lists(name) for name in lists},
        }
    )


def split_into_blocks(
    items: pa.Table, *, isolate: bool = False, actors: int = 1
) -> Iterator[pa.Table]:
    """Slice the work items into blocks, each enough work for one decode task.

    The last blocks get smaller and smaller, so that all actors end at about the same time.

    Args:
        items: from `make_work_items`.
        isolate: whether each block has a single item.
        actors: number of actors that share the work.
    """
    if isolate:
        for start in range(len(items)):
            yield items.slice(start, 1)
        return
    if actors > 1:
        items = _split_last_items(items, actors)
    counts = pc.list_value_length(items[ROWS]).to_numpy()
    # Ray keeps a record of each block, so a large manifest has fewer and larger ones.
    limit = max(_ROWS_PER_BLOCK, int(counts.sum()) // _MAX_BLOCKS)
    limits = np.minimum(limit, _limit_last_blocks(counts, actors)).tolist()
    start = total = 0
    for end, count in enumerate(counts.tolist(), start=1):
        total += count
        if total >= limits[start]:
            yield items.slice(start, end - start)
            start, total = end, 0
    if total:
        yield items.slice(start)


def _limit_last_blocks(counts: Rows, actors: int) -> Rows:
    """Return, for each item, the largest number of rows of a block that starts with it.

    It is half of an actor's share of the rows that are left.

    Args:
        counts: number of rows of each item.
        actors: number of actors that share the work.
    """
    left = np.cumsum(counts[::-1])[::-1]
    return np.maximum(_SMALLEST_BLOCK, left // (2 * actors)) if actors > 1 else left


def _split_last_items(items: pa.Table, actors: int) -> pa.Table:
    """Split each item that has more rows than a block that starts with it, into even parts."""
    counts = pc.list_value_length(items[ROWS]).to_numpy().astype(np.int64)
    parts = -(-counts // _limit_last_blocks(counts, actors))
    item = np.repeat(np.arange(len(items)), parts)
    part = np.arange(len(item)) - np.repeat(np.cumsum(parts) - parts, parts)
    starts = (np.cumsum(counts) - counts)[item] + counts[item] * part // parts[item]
    offsets = np.append(starts, counts.sum()).astype(np.int32)

    def split_column(column: pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
        if pa.types.is_list(column.type):
            return pa.ListArray.from_arrays(offsets, column.combine_chunks().flatten())
        return column.take(item)

    columns = {name: split_column(items[name]) for name in items.column_names}
    return pa.table(columns, schema=items.schema)


def _number_references(manifest: pa.Table) -> Rows:
    """Return a number for each row, equal for rows of the same reference and mask."""
    group = _number_values(manifest[schema.REFERENCE])
    if schema.MASK in manifest.column_names:
        mask = _number_values(manifest[schema.MASK])
        pairs = group * (mask.max() + 1) + mask
        # Numbered again by first appearance, which keeps references in the manifest's order.
        group = _number_values(pa.chunked_array([pairs]))
    return group


def _number_values(column: pa.ChunkedArray) -> Rows:
    """Number a column's distinct values by first appearance; return the number of each row."""
    encoded = column.combine_chunks().dictionary_encode(null_encoding="encode")
    numbers: Rows = encoded.indices.to_numpy().astype(np.int64)
    return numbers


def find_run_starts(*keys: NDArray[np.integer]) -> Rows:
    """Return the index at which each run of equal keys begins."""
    change = np.zeros(len(keys[0]), dtype=bool)
    change[0] = True
    for key in keys:
        change[1:] |= key[1:] != key[:-1]
    return np.flatnonzero(change)
