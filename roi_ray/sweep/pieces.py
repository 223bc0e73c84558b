"""Divide work items by codec, so that each part of the work runs where its codec can."""

from collections.abc import Mapping
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from roi_ray import schema
from roi_ray.pipeline.plan import PAIR_IDS, ROWS, find_run_starts
from roi_ray.sweep.codec import Codec
from roi_ray.sweep.sweep_kind import ITEM_COLUMNS

_LISTS = (ROWS, PAIR_IDS, *ITEM_COLUMNS)


class Place(NamedTuple):
    """What a piece of work asks for.

    Attributes:
        resource: custom resource of the Ray nodes that can do it; None for all nodes.
        cpus: CPUs that it uses.
    """

    resource: str | None
    cpus: float


def split_by_codec(items: pa.Table) -> pa.Table:
    """Split work items so that each has the cells of one codec.

    All cells of an original and a codec stay together, so that searches for several targets share
    what they encode. Items of one original stay neighbours, so that it is decoded once per block.

    Args:
        items: see `encode_cells`.

    Returns:
        the same columns, with a row per original and codec.
    """
    cells = {name: items[name].combine_chunks().flatten() for name in _LISTS}
    counts = pc.list_value_length(items[ROWS]).to_numpy()
    item = np.repeat(np.arange(len(items)), counts)
    codec = cells[schema.CODEC].dictionary_encode().indices.to_numpy()
    order = np.lexsort((codec, item))  # stable
    item, codec = item[order], codec[order]
    starts = find_run_starts(item, codec)
    offsets = pa.array(np.append(starts, len(order)).astype(np.int32))
    pieces = items.take(item[starts])
    for name in _LISTS:
        lists = pa.ListArray.from_arrays(offsets, cells[name].take(order))
        pieces = pieces.set_column(pieces.schema.get_field_index(name), name, lists)
    return pieces


def find_places(pieces: pa.Table, codecs: Mapping[str, Codec]) -> list[Place]:
    """Return what each piece asks for; a codec that the job does not have asks for nothing.

    Args:
        pieces: from `split_by_codec`.
        codecs: the codecs by label.
    """
    labels = pc.list_element(pieces[schema.CODEC], 0).to_pylist()
    places = {
        label: Place(codecs[label].resource, codecs[label].cpus)
        if label in codecs
        else Place(None, 1)
        for label in set(labels)
    }
    return [places[label] for label in labels]


def join_neighbours(pieces: pa.Table, places: list[Place]) -> list[tuple[pa.Table, Place]]:
    """Join pieces that are neighbours, of one original, and ask for the same."""
    references = pieces[schema.REFERENCE].combine_chunks().dictionary_encode().indices.to_numpy()
    number = {place: index for index, place in enumerate(dict.fromkeys(places))}
    keys: NDArray[np.int64] = np.array([number[place] for place in places])
    bounds = [*find_run_starts(references, keys).tolist(), len(pieces)]
    return [(pieces.slice(start, end - start), places[start]) for start, end in pairwise(bounds)]
