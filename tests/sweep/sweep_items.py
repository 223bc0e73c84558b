"""Work items of sweeps, and codecs that misbehave."""

import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from roi_ray import schema
from roi_ray.pipeline.kind import SHARD
from roi_ray.pipeline.plan import PAIR_IDS, ROWS
from roi_ray.sweep.builtin import make_codec
from roi_ray.sweep.codec import Codec, Decoded, Encoded, QualityScale
from roi_ray.sweep.source import SourceImage

Target = tuple[str, float]

SCALE = QualityScale("JPEG's quality", 1, 100, (50,))


def make_items(
    references: Sequence[str],
    codecs: Mapping[str, Codec],
    targets: Sequence[Target],
    cell_per_item: bool = False,
) -> pa.Table:
    """Make work items: every reference x codec x target, one item per reference or per cell."""
    items = []
    row = 0
    for shard, reference in enumerate(references):
        name = os.path.splitext(os.path.basename(reference))[0]
        cells = [(label, *target) for label in codecs for target in targets]
        for group in [[cell] for cell in cells] if cell_per_item else [cells]:
            stems = [f"{label}/{name}-{metric}{value:g}" for label, metric, value in group]
            suffixes = [codecs[label].suffix for label, _, _ in group]
            files = [f"encoded/{s}{x}" for s, x in zip(stems, suffixes, strict=True)]
            own = [codecs[label].decoded_suffix for label, _, _ in group]
            items.append(
                {
                    SHARD: shard,
                    schema.REFERENCE: reference,
                    schema.MASK: None,
                    ROWS: list(range(row, row + len(group))),
                    PAIR_IDS: [f"cell {n}" for n in range(row, row + len(group))],
                    schema.CODEC: [label for label, _, _ in group],
                    schema.TARGET_METRIC: [metric for _, metric, _ in group],
                    schema.TARGET: [value for _, _, value in group],
                    schema.BITSTREAM: files,
                    schema.DISTORTED: [
                        file if suffix is None else f"decoded/{stem}{suffix}"
                        for file, stem, suffix in zip(files, stems, own, strict=True)
                    ],
                }
            )
            row += len(group)
    types = {SHARD: pa.int32(), schema.REFERENCE: pa.string(), schema.MASK: pa.string()}
    types[ROWS] = pa.list_(pa.int64())
    types[schema.TARGET] = pa.list_(pa.float64())
    for column in (PAIR_IDS, *("codec", "target_metric", "bitstream", "distorted")):
        types[column] = pa.list_(pa.string())
    return pa.Table.from_pylist(items, pa.schema(types))


@dataclass(frozen=True)
class JpegWith(Codec):
    """JPEG whose `encode` or `decode` may be replaced.

    Attributes:
        encoding: called with the quality and the JPEG file; returns the outcome.
        decoding: called with the file; returns the outcome.
    """

    encoding: Callable[[float, bytes], Encoded] = lambda quality, data: Encoded(data, 0.01)
    decoding: Callable[[bytes], Decoded] = lambda data: Decoded(None, 0.005)

    def version(self) -> str:
        return "test 1"

    def encode(self, image: SourceImage, quality: float) -> Encoded:
        data = make_codec("jpeg").encode(image, quality).data
        return self.encoding(quality, data)

    def decode(self, data: bytes) -> Decoded:
        return self.decoding(data)


def jpeg_with(label: str, **options: object) -> JpegWith:
    return JpegWith(label, "", SCALE, ".jpg", **options)  # type: ignore[arg-type]


def crash(quality: float, data: bytes) -> Encoded:
    """Crash as a library does, at quality 50."""
    if quality == 50:
        os.kill(os.getpid(), signal.SIGSEGV)
    return Encoded(data, 0.01)


def sleep(quality: float, data: bytes) -> Encoded:
    time.sleep(0.2)
    return Encoded(data, 0.01)
