"""A chunk: the unit that the decode stage passes to the score stage, as object and as table row."""

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from roi_ray import schema
from roi_ray.imaging.pixels import Pixels
from roi_ray.pipeline.plan import PAIR_IDS, ROWS, SHARD
from roi_ray.schema import Failure

_CHUNK = pa.schema(
    {
        SHARD: pa.int32(),
        schema.REFERENCE: pa.string(),
        "height": pa.int32(),
        "width": pa.int32(),
        "pixels": pa.large_binary(),
        schema.MASK: pa.large_binary(),
        ROWS: pa.list_(pa.int64()),
        PAIR_IDS: pa.list_(pa.string()),
        "images": pa.list_(pa.large_binary()),
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
        pixels: the reference, uint8 (H, W, 3); None if it cannot be read, and then every row fails.
        mask: uint8 (H, W), if the manifest names one.
        rows: row numbers in the manifest.
        pair_ids: `pair_id` of each row.
        images: for each row, uint8 (H, W, 3), or None if the row fails.
        failures: for each row, its failure, or None.
    """

    shard: int
    reference: str
    pixels: Pixels | None = None
    mask: Pixels | None = None
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
        """Convert to a table of one row, the output of the decode stage."""
        height, width = (0, 0) if self.pixels is None else self.pixels.shape[:2]
        row = {
            SHARD: self.shard,
            schema.REFERENCE: self.reference,
            "height": height,
            "width": width,
            "pixels": _to_bytes(self.pixels),
            schema.MASK: _to_bytes(self.mask),
            ROWS: self.rows,
            PAIR_IDS: self.pair_ids,
            "images": [_to_bytes(image) for image in self.images],
            "error_kinds": [failure and failure.kind for failure in self.failures],
            "errors": [failure and failure.text for failure in self.failures],
        }
        return pa.Table.from_pylist([row], _CHUNK)

    @classmethod
    def from_arrow(cls, table: pa.Table) -> "Chunk":
        """Read a chunk from a table of one row; its pixels are views of the table's memory."""
        record = {name: table[name][0] for name in table.column_names}
        height, width = record["height"].as_py(), record["width"].as_py()
        errors = zip(record["error_kinds"].as_py(), record["errors"].as_py(), strict=True)
        return cls(
            shard=record[SHARD].as_py(),
            reference=record[schema.REFERENCE].as_py(),
            pixels=_as_pixels(record["pixels"], (height, width, 3)),
            mask=_as_pixels(record[schema.MASK], (height, width)),
            rows=record[ROWS].as_py(),
            pair_ids=record[PAIR_IDS].as_py(),
            images=[_as_pixels(image, (height, width, 3)) for image in record["images"].values],
            failures=[None if kind is None else Failure(kind, text) for kind, text in errors],
        )


def _to_bytes(pixels: Pixels | None) -> bytes | None:
    return None if pixels is None else pixels.tobytes()


def _as_pixels(value: pa.LargeBinaryScalar, shape: tuple[int, ...]) -> Pixels | None:
    buffer = value.as_buffer()
    return None if buffer is None else np.frombuffer(buffer, np.uint8).reshape(shape)
