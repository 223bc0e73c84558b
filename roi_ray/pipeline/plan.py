"""Cut a manifest into shards, and shards into work items of one reference each.

Which rows are in shard k is a function of the manifest and the shard size alone, so a run that was
killed can be finished by another cluster. All of it is arrays: a manifest may have many rows.
"""

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from roi_ray import schema

Rows = NDArray[np.int64]

# Columns of a work item: a reference, and some of the images that are compared with it.
SHARD = "shard"
ROWS = "rows"
PAIR_IDS = "pair_ids"

_BLOCK_PAIRS = 16
_BLOCKS = 8192


def plan(manifest: pa.Table, shard_size: int) -> list[Rows]:
    """The rows of each shard, in the order in which they are written.

    All pairs of one reference (and mask) stand together, in the manifest's order; references come
    in the order of their first rows. A shard is filled with whole references up to `shard_size`
    pairs; only a reference that has more than that is spread over several shards.

    Args:
        manifest: with the columns `reference` and, if there is one, `mask`.
        shard_size: pairs, 1 or more.
    """
    group = _groups(manifest)
    order = np.argsort(group, kind="stable")
    starts = _starts(group[order])
    sizes = np.diff(starts, append=len(order))
    cuts = [0]
    for start, size in zip(starts.tolist(), sizes.tolist(), strict=True):
        if start + size - cuts[-1] > shard_size and start > cuts[-1]:
            cuts.append(start)
        while start + size - cuts[-1] > shard_size:
            cuts.append(cuts[-1] + shard_size)
    return np.split(order, cuts[1:])


def plans(parts: Iterable[pa.Table], shard_size: int) -> Iterator[tuple[pa.Table, dict[int, Rows]]]:
    """Each part of a manifest with its shards' rows, by number; numbers run on through parts."""
    number = 0
    for part in parts:
        shards = dict(enumerate(plan(part, shard_size), number))
        number += len(shards)
        yield part, shards


def work_items(manifest: pa.Table, shards: dict[int, Rows], *, isolate: bool = False) -> pa.Table:
    """Work items for rows of shards.

    Args:
        manifest: the rows, with their `pair_id`.
        shards: for each shard's number, the rows in it that are wanted, in the shard's order.
        isolate: one pair an item, so that what kills its process takes no other pair along.

    Returns:
        columns `shard`, `reference`, `mask`, and lists `rows`, `pair_ids` and `distorted`.
    """
    rows = np.concatenate(list(shards.values()))
    shard = np.repeat(list(shards), [len(part) for part in shards.values()])
    starts = np.arange(len(rows)) if isolate else _starts(_groups(manifest)[rows], shard)
    offsets = np.append(starts, len(rows)).astype(np.int32)
    mask = schema.MASK in manifest.column_names
    shared = [schema.REFERENCE, schema.MASK] if mask else [schema.REFERENCE]
    first = manifest.select(shared).take(rows[starts])
    return pa.table(
        {
            SHARD: pa.array(shard[starts], pa.int32()),
            schema.REFERENCE: first[schema.REFERENCE],
            schema.MASK: first[schema.MASK] if mask else pa.nulls(len(starts), pa.string()),
            ROWS: pa.ListArray.from_arrays(offsets, rows),
            **{
                name: pa.ListArray.from_arrays(offsets, manifest[of].take(rows).combine_chunks())
                for name, of in ((PAIR_IDS, schema.PAIR_ID), (schema.DISTORTED, schema.DISTORTED))
            },
        }
    )


def blocks(items: pa.Table, *, isolate: bool = False) -> Iterator[pa.Table]:
    """Slices of the work items, each enough work for one decode task."""
    pairs = pc.list_value_length(items[ROWS]).to_numpy()
    # Ray keeps account of each block: of a large manifest there are fewer and larger ones.
    limit = 1 if isolate else max(_BLOCK_PAIRS, int(pairs.sum()) // _BLOCKS)
    start = total = 0
    for index, count in enumerate(pairs.tolist(), start=1):
        total += count
        if total >= limit:
            yield items.slice(start, index - start)
            start, total = index, 0
    if total:
        yield items.slice(start)


def _groups(manifest: pa.Table) -> Rows:
    """A number for each row, equal for rows of one reference and mask."""
    group = _codes(manifest[schema.REFERENCE])
    if schema.MASK in manifest.column_names:
        mask = _codes(manifest[schema.MASK])
        pairs = group * (mask.max() + 1) + mask
        # Numbered anew by first appearance, which keeps references in the manifest's order.
        group = _codes(pa.chunked_array([pairs]))
    return group


def _codes(column: pa.ChunkedArray) -> Rows:
    encoded = column.combine_chunks().dictionary_encode(null_encoding="encode")
    codes: Rows = encoded.indices.to_numpy().astype(np.int64)
    return codes


def _starts(*keys: NDArray[np.integer]) -> Rows:
    """Where a run of equal keys begins."""
    change = np.zeros(len(keys[0]), dtype=bool)
    change[0] = True
    for key in keys:
        change[1:] |= key[1:] != key[:-1]
    return np.flatnonzero(change)
