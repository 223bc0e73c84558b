"""The cells of a sweep, one row each: an original, a codec, and a quality or a target to meet.

A sweep that is given further codecs, qualities or images keeps the cells that it had, in their
order, and gets the new ones after them.
"""

import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from roi_ray import schema
from roi_ray.errors import OutputError
from roi_ray.io import storage
from roi_ray.sweep.carried import match_carried
from roi_ray.sweep.codec import Codec
from roi_ray.sweep.images import DECODED, ENCODED, Images
from roi_ray.sweep.plan import PlannedCodec, Target


def make_cells(
    images: Images, plan: Sequence[PlannedCodec], output: str, earlier: pa.Table | None = None
) -> pa.Table:
    """Make the cells of all codecs on all images.

    Args:
        images: the originals.
        plan: codecs and their targets.
        output: absolute URI of the sweep's folder. URIs of files below it become relative to it, so
            that the folder can be moved.
        earlier: cells of the sweep, whose files must not be overwritten; None if it is new.

    Returns:
        columns `pair_id`, `reference`, `distorted`, `mask` if an image has one,
        `schema.SWEEP_PLAN`, and the further columns of the images; all cells of an image are
        adjacent.
    """
    masks = images.masks or (None,) * len(images.uris)
    owners: dict[str, str] = {}  # original of each encoded file
    if earlier is not None:
        columns = (earlier[name].to_pylist() for name in (schema.BITSTREAM, schema.REFERENCE))
        owners = dict(zip(*columns, strict=True))
    rows = (
        _make_row(
            _relative(uri, output), name, mask and _relative(mask, output), codec, target, owners
        )
        for uri, name, mask in zip(images.uris, images.names, masks, strict=True)
        for codec, target in ((p.codec, target) for p in plan for target in p.targets)
    )
    table = pa.Table.from_pylist(list(rows), _SCHEMA)
    if not images.masks:
        table = table.drop_columns([schema.MASK])
    if images.columns is None:
        return table
    count = sum(len(planned.targets) for planned in plan)
    of_cells = images.columns.take(np.repeat(np.arange(len(images.uris)), count))
    for field in of_cells.schema:
        table = table.append_column(field, of_cells[field.name])
    return table.combine_chunks()


_SCHEMA = pa.schema(
    {
        **dict.fromkeys(
            (schema.PAIR_ID, schema.REFERENCE, schema.DISTORTED, schema.MASK), pa.string()
        ),
        **{name: kind for name, (kind, _) in schema.SWEEP_PLAN.items()},
    }
)


def _make_row(
    reference: str,
    name: str,
    mask: str | None,
    codec: Codec,
    target: Target,
    owners: Mapping[str, str],
) -> dict[str, object]:
    stem = f"{codec.label}/{name}-{_describe_target(target)}"
    bitstream = f"{ENCODED}/{stem}{codec.suffix}"
    # An image of another folder, added later, may have the same path below it.
    if owners.get(bitstream, reference) != reference:
        digest = hashlib.sha256(reference.encode()).hexdigest()[:8]
        stem = f"{codec.label}/{digest}-{name}-{_describe_target(target)}"
        bitstream = f"{ENCODED}/{stem}{codec.suffix}"
    suffix = codec.decoded_suffix
    distorted = f"{DECODED}/{stem}{suffix}" if suffix is not None else bitstream
    return {
        schema.PAIR_ID: hashlib.sha256(f"{reference}\n{distorted}".encode()).hexdigest()[:32],
        schema.REFERENCE: reference,
        schema.DISTORTED: distorted,
        schema.MASK: mask,
        schema.CODEC: codec.label,
        schema.SETTINGS: codec.settings,
        schema.TARGET_METRIC: target.metric,
        schema.TARGET: target.value,
        schema.BITSTREAM: bitstream,
    }


def _describe_target(target: Target) -> str:
    metric = "q" if target.metric == schema.QUALITY else target.metric
    return f"{metric}{target.value:.10g}"


def _relative(uri: str, output: str) -> str:
    return uri.removeprefix(output.rstrip("/") + "/")


def add_cells(earlier: pa.Table | None, cells: pa.Table, output: str) -> pa.Table:
    """Add the cells that a sweep does not have yet after those that it has.

    Args:
        earlier: cells of the sweep, or None if it is new.
        cells: from `make_cells`.
        output: URI of the sweep, for messages.

    Raises:
        OutputError: a codec of the same label had other options, the sweep has no masks, or its
            further columns are not those of the images; see `match_carried`.
    """
    if earlier is None:
        return cells
    _check_same_settings(earlier, cells, output)
    if schema.MASK in cells.column_names and schema.MASK not in earlier.column_names:
        raise OutputError(
            f"{output} is a sweep of images without masks, so it cannot take images with masks; "
            "name another --output"
        )
    if schema.MASK in earlier.column_names and schema.MASK not in cells.column_names:
        position = earlier.column_names.index(schema.MASK)
        nulls = pa.nulls(len(cells), pa.string())
        cells = cells.add_column(position, schema.MASK, nulls)
    cells = match_carried(earlier, cells, output)
    is_known = pc.is_in(cells[schema.PAIR_ID], earlier[schema.PAIR_ID].combine_chunks())
    return pa.concat_tables([earlier, cells.filter(pc.invert(is_known))]).combine_chunks()


def _check_same_settings(earlier: pa.Table, cells: pa.Table, output: str) -> None:
    names = [schema.CODEC, schema.SETTINGS]
    before = dict(_distinct(earlier, names))
    for label, settings in _distinct(cells, names):
        if before.get(label, settings) != settings:
            raise OutputError(
                f"{output}: codec {label!r} had the settings {before[label]!r}, and has "
                f"{settings!r} now; give it another label in a plan file, or name another --output"
            )


def _distinct(table: pa.Table, names: list[str]) -> Iterator[tuple[str, str]]:
    rows = table.select(names).group_by(names, use_threads=False).aggregate([])
    return zip(*(rows[name].to_pylist() for name in names), strict=True)


def write_cells(uri: str, cells: pa.Table) -> None:
    """Write cells to a Parquet file, whole or not at all."""
    stream = io.BytesIO()
    pq.write_table(cells, stream, compression="zstd")
    storage.write_bytes(uri, stream.getvalue())


def read_cells(uri: str) -> pa.Table:
    """Read cells that `write_cells` wrote."""
    return pq.read_table(pa.BufferReader(storage.read_bytes(uri)))
