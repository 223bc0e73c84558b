"""A chunk: the unit that the decode stage passes to the score stage, as object and as table row."""

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from roi_ray import schema
from roi_ray.imaging.pixels import HighBitDepthImage, Pixels, Pixels8, bit_depth_of
from roi_ray.pipeline.kind import SHARD
from roi_ray.pipeline.plan import PAIR_IDS, ROWS
from roi_ray.schema import Failure

_CHUNK = pa.schema(
    {
        SHARD: pa.int32(),
        schema.REFERENCE: pa.string(),
        "height": pa.int32(),
        "width": pa.int32(),
        "bit_depth": pa.int32(),
        "pixels": pa.large_binary(),
        schema.MASK: pa.large_binary(),
        ROWS: pa.list_(pa.int64()),
        PAIR_IDS: pa.list_(pa.string()),
        "images": pa.list_(pa.large_binary()),
        "bit_depths": pa.list_(pa.int32()),
        "error_kinds": pa.list_(pa.string()),
        "errors": pa.list_(pa.string()),
    }
)


@dataclass
class Chunk:
    """Decoded pixels of one reference and some of its distorted images.

    Attributes:
        shard: number of the shard.
        reference: URIs of the reference and its mask; equal for all chunks of one reference.
        pixels: the reference, (H, W, 3); None if it cannot be read, and then every row fails.
        mask: uint8 (H, W), if the manifest names one.
        rows: row numbers in the manifest.
        pair_ids: `pair_id` of each row.
        images: for each row, (H, W, 3) of any bit depth, or None if the row fails.
        failures: for each row, its failure, or None.
    """

    shard: int
    reference: str
    pixels: Pixels | None = None
    mask: Pixels8 | None = None
    rows: list[int] = field(default_factory=list)
    pair_ids: list[str] = field(default_factory=list)
    images: list[Pixels | None] = field(default_factory=list)
    failures: list[Failure | None] = field(default_factory=list)

    def add(
        self, row: int, pair_id: str, image: Pixels | None, failure: Failure | None = None
    ) -> None:
        """Append one row."""
        self.rows.append(row)
        self.pair_ids.append(pair_id)
        self.images.append(image)
        self.failures.append(failure)

    def to_arrow(self) -> pa.Table:
        """Convert to a table of one row, the output of the decode stage.

        The images are moved into the table, so that each is in memory only once: `images` is empty
        then.
        """
        height, width = (0, 0) if self.pixels is None else self.pixels.shape[:2]
        bit_depths = [_bit_depth(image) for image in self.images]
        images = _to_binary(self.images)
        columns = {
            SHARD: [self.shard],
            schema.REFERENCE: [self.reference],
            "height": [height],
            "width": [width],
            "bit_depth": [_bit_depth(self.pixels)],
            "pixels": _to_binary([self.pixels]),
            schema.MASK: _to_binary([self.mask]),
            ROWS: [self.rows],
            PAIR_IDS: [self.pair_ids],
            "images": pa.ListArray.from_arrays(pa.array([0, len(images)], pa.int32()), images),
            "bit_depths": [bit_depths],
            "error_kinds": [[failure and failure.kind for failure in self.failures]],
            "errors": [[failure and failure.text for failure in self.failures]],
        }
        return pa.table(columns, _CHUNK)

    @classmethod
    def from_arrow(cls, table: pa.Table) -> "Chunk":
        """Read a chunk from a table of one row."""
        record = {name: table[name][0] for name in table.column_names}
        height, width = record["height"].as_py(), record["width"].as_py()
        images = zip(record["images"].values, record["bit_depths"].as_py(), strict=True)
        errors = zip(record["error_kinds"].as_py(), record["errors"].as_py(), strict=True)
        return cls(
            shard=record[SHARD].as_py(),
            reference=record[schema.REFERENCE].as_py(),
            pixels=_as_image(record["pixels"], record["bit_depth"].as_py(), height, width),
            mask=_as_mask(record[schema.MASK], height, width),
            rows=record[ROWS].as_py(),
            pair_ids=record[PAIR_IDS].as_py(),
            images=[_as_image(image, bit_depth, height, width) for image, bit_depth in images],
            failures=[None if kind is None else Failure(kind, text) for kind, text in errors],
        )


def _to_binary(arrays: list[Pixels | None]) -> pa.LargeBinaryArray:
    """Make a binary value of each array; the list is empty then.

    A single one is not copied, because it may be 400 MB.
    """
    count = len(arrays)
    sizes = [0 if each is None else each.nbytes for each in arrays]
    is_given = pa.array([each is not None for each in arrays], pa.bool_()).buffers()[1]
    offsets = np.cumsum([0, *sizes], dtype=np.int64)
    given = [each for each in arrays if each is not None]
    arrays.clear()
    if len(given) == 1:
        data = _to_bytes(given[0])
    else:
        # Its memory comes from the system as it is filled, while that of the images is freed.
        data = np.empty(sum(sizes), np.uint8)
        for size, end in zip(sizes, offsets[1:], strict=True):
            if size:
                data[end - size : end] = _to_bytes(given.pop(0))
    return pa.LargeBinaryArray.from_buffers(
        pa.large_binary(), count, [is_given, pa.py_buffer(offsets), pa.py_buffer(data)]
    )


def _to_bytes(array: NDArray[np.integer]) -> NDArray[np.uint8]:
    return np.asarray(array).reshape(-1).view(np.uint8)


def _bit_depth(image: Pixels | None) -> int | None:
    return None if image is None else bit_depth_of(image)


def _as_image(
    value: pa.LargeBinaryScalar, bit_depth: int | None, height: int, width: int
) -> Pixels | None:
    buffer = value.as_buffer()
    if bit_depth is None or buffer is None:
        return None
    if bit_depth == 8:
        return np.frombuffer(buffer, np.uint8).reshape(height, width, 3)
    samples = np.frombuffer(buffer, np.uint16).reshape(height, width, 3)
    return HighBitDepthImage(samples, bit_depth)


def _as_mask(value: pa.LargeBinaryScalar, height: int, width: int) -> Pixels8 | None:
    buffer = value.as_buffer()
    return None if buffer is None else np.frombuffer(buffer, np.uint8).reshape(height, width)
