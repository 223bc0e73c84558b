"""The decode stage: work items in, chunks of decoded pixels out.

A chunk is a reference with as many of its distorted images as fit into a fixed number of bytes, so
that memory does not depend on how many images a reference has, nor on how large they are.

Nothing here imports torch: a decode task's process starts ten seconds earlier without it.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa

from roi_ray import schema
from roi_ray.errors import (
    AccessError,
    ImageError,
    ImageReadError,
    StorageError,
    StorageUnavailable,
)
from roi_ray.imaging.decode import decode_image, decode_mask
from roi_ray.imaging.pixels import Pixels, check_size
from roi_ray.io import storage
from roi_ray.io.allowlist import Allowlist
from roi_ray.pipeline.plan import PAIR_IDS, ROWS, SHARD
from roi_ray.runtime import logs, telemetry

Read = Callable[[str], bytes]
_FAILED = (ImageError, StorageError)

CHUNK_BYTES = 32 << 20

# Reading waits for the network or the disk, so it is done ahead, many files at a time.
_READERS = 16
_READ_AHEAD, _FIRST = 32, 4
_READ_AHEAD_BYTES = 64 << 20

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
        "errors": pa.list_(pa.string()),
    }
)


@dataclass
class Chunk:
    """Decoded pixels of one reference and some of its distorted images.

    Attributes:
        shard: number of the shard.
        reference: identity of the reference and mask, for what is kept between chunks.
        pixels: the reference, uint8 (H, W, 3); None if it has an error, as all images then have.
        mask: uint8 (H, W), if the manifest gives one.
        rows: row numbers in the manifest.
        pair_ids: of the rows.
        images: for each row, uint8 (H, W, 3), or None if it has an error.
        errors: for each row, why there is no image, else None.
    """

    shard: int
    reference: str
    pixels: Pixels | None = None
    mask: Pixels | None = None
    rows: list[int] = field(default_factory=list)
    pair_ids: list[str] = field(default_factory=list)
    images: list[Pixels | None] = field(default_factory=list)
    errors: list[str | None] = field(default_factory=list)

    def add(self, row: int, pair_id: str, image: Pixels | None, error: str | None = None) -> None:
        """Append one row."""
        self.rows.append(row)
        self.pair_ids.append(pair_id)
        self.images.append(image)
        self.errors.append(error)

    def to_arrow(self) -> pa.Table:
        """One row of the stage's output."""
        height, width = (0, 0) if self.pixels is None else self.pixels.shape[:2]
        row = {
            SHARD: self.shard,
            schema.REFERENCE: self.reference,
            "height": height,
            "width": width,
            "pixels": _bytes(self.pixels),
            schema.MASK: _bytes(self.mask),
            ROWS: self.rows,
            PAIR_IDS: self.pair_ids,
            "images": [_bytes(image) for image in self.images],
            "errors": self.errors,
        }
        return pa.Table.from_pylist([row], _CHUNK)

    @classmethod
    def from_arrow(cls, table: pa.Table) -> "Chunk":
        """The chunk in a table of one row; the pixels are views of the table's memory."""
        record = {name: table[name][0] for name in table.column_names}
        height, width = record["height"].as_py(), record["width"].as_py()
        return cls(
            shard=record[SHARD].as_py(),
            reference=record[schema.REFERENCE].as_py(),
            pixels=_view(record["pixels"], (height, width, 3)),
            mask=_view(record[schema.MASK], (height, width)),
            rows=record[ROWS].as_py(),
            pair_ids=record[PAIR_IDS].as_py(),
            images=[_view(image, (height, width, 3)) for image in record["images"].values],
            errors=record["errors"].as_py(),
        )


def decode(items: pa.Table, base: str, allowlist: Allowlist, max_pixels: int) -> Iterator[pa.Table]:
    """Read and decode the images of work items.

    Args:
        items: from `roi_ray.pipeline.plan.work_items`.
        base: what relative URIs are relative to.
        allowlist: what may be opened.
        max_pixels: largest image that is decoded.

    Yields:
        tables of one row: a chunk.
    """

    def read(uri: str) -> bytes:
        found = storage.resolve(uri, base)
        if "\0" in found:
            raise ImageReadError("a name with a zero byte")
        allowlist.check(found)
        try:
            with telemetry.time_stage("read"):
                return storage.read_bytes(found)
        except (AccessError, StorageUnavailable):
            raise  # by these names the driver knows that it is not the file's fault
        except StorageError as error:
            raise ImageReadError(str(error)) from error

    logs.log_to_ray_file()
    with ThreadPoolExecutor(_READERS) as readers:
        for item in items.to_pylist():
            for chunk in _decode_item(item, read, max_pixels, readers):
                logs.log_failures(chunk.shard, chunk.pair_ids, chunk.errors)
                yield chunk.to_arrow()


def _decode_item(
    item: dict[str, Any], read: Read, max_pixels: int, readers: ThreadPoolExecutor
) -> Iterator[Chunk]:
    reference, mask = item[schema.REFERENCE], item[schema.MASK] or None
    fresh = Chunk(item[SHARD], f"{reference}\n{mask or ''}")
    failed: str | None = None
    try:
        fresh.pixels = _timed(decode_image, read(reference), max_pixels)
    except _FAILED as error:
        fresh.pixels = None
        failed = describe(error, f"reference {reference}")
    else:
        try:
            if mask is not None:
                fresh.mask = _timed(decode_mask, read(mask), max_pixels)
                check_size(fresh.mask, fresh.pixels)
        except _FAILED as error:
            fresh.pixels = fresh.mask = None
            failed = describe(error, f"mask {mask}")

    chunk = _copy(fresh)
    pairs = list(zip(item[ROWS], item[PAIR_IDS], item[schema.DISTORTED], strict=True))
    if failed is not None:
        for row, pair_id, _ in pairs:
            chunk.add(row, pair_id, None, failed)
        yield chunk
        return

    assert fresh.pixels is not None
    contents = _read_ahead([uri for _, _, uri in pairs], read, readers)
    for (row, pair_id, uri), content in zip(pairs, contents, strict=True):
        try:
            if isinstance(content, _FAILED):
                raise content
            image = _timed(decode_image, content, max_pixels)
            check_size(image, fresh.pixels)
            chunk.add(row, pair_id, image)
        except _FAILED as error:
            chunk.add(row, pair_id, None, describe(error, uri))
        if sum(i.nbytes for i in chunk.images if i is not None) >= CHUNK_BYTES:
            yield chunk
            chunk = _copy(fresh)
    if chunk.rows:
        yield chunk


def _read_ahead(
    uris: Iterable[str], read: Read, readers: ThreadPoolExecutor
) -> Iterator[bytes | ImageError | StorageError]:
    """The files in order, each with some after it under way: fewer, if they are large."""
    left, under_way, most = iter(uris), deque[Future[bytes | ImageError | StorageError]](), _FIRST
    while True:
        more = islice(left, max(0, most - len(under_way)))
        under_way.extend(readers.submit(_try, read, uri) for uri in more)
        if not under_way:
            return
        content = under_way.popleft().result()
        yield content
        if isinstance(content, bytes):
            most = max(1, min(_READ_AHEAD, _READ_AHEAD_BYTES // max(1, len(content))))


def describe(error: Exception, subject: str) -> str:
    """The `error` text of a row: what kind, which file, what was wrong."""
    return f"{type(error).__name__}: {subject}: {error}"


def _timed(decoder: Callable[[bytes, int], Pixels], content: bytes, max_pixels: int) -> Pixels:
    with telemetry.time_stage("decode"):
        return decoder(content, max_pixels)


def _copy(fresh: Chunk) -> Chunk:
    return Chunk(fresh.shard, fresh.reference, fresh.pixels, fresh.mask)


def _try(read: Read, uri: str) -> bytes | ImageError | StorageError:
    try:
        return read(uri)
    except _FAILED as error:
        return error


def _bytes(pixels: Pixels | None) -> bytes | None:
    return None if pixels is None else pixels.tobytes()


def _view(value: pa.LargeBinaryScalar, shape: tuple[int, ...]) -> Pixels | None:
    buffer = value.as_buffer()
    return None if buffer is None else np.frombuffer(buffer, np.uint8).reshape(shape)
