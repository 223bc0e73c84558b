"""The decode stage: work items in, chunks of decoded pixels out.

A chunk is a reference with as many of its distorted images as fit into a fixed number of bytes, so
memory depends neither on the number of images per reference nor on their size.

This module does not import torch, so that the process of a decode task starts ten seconds earlier.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any, TypeVar

import pyarrow as pa

from roi_ray import schema
from roi_ray.errors import ImageReadError, NotAllowed
from roi_ray.imaging.decode import decode_image, decode_mask
from roi_ray.imaging.load import read_image_file
from roi_ray.imaging.missing import explain_not_allowed
from roi_ray.imaging.pixels import Pixels, Pixels8, check_size
from roi_ray.io import storage
from roi_ray.io.allowlist import Allowlist
from roi_ray.pipeline.chunk import Chunk
from roi_ray.pipeline.plan import PAIR_IDS, ROWS, SHARD
from roi_ray.runtime import logs, telemetry
from roi_ray.schema import Failure

Read = Callable[[str], bytes]
_Array = TypeVar("_Array", Pixels, Pixels8)

CHUNK_BYTES = 32 << 20

# Reading waits for the network or the disk, so many files are read ahead.
_READERS = 16
_FILES_AHEAD_AT_START, _MAX_FILES_AHEAD = 4, 32
_MAX_BYTES_AHEAD = 64 << 20


def decode_work_items(
    items: pa.Table, base: str, allowlist: Allowlist, max_pixels: int
) -> Iterator[pa.Table]:
    """Read and decode the images of work items.

    Args:
        items: from `make_work_items`.
        base: URI of the folder that relative URIs are relative to.
        allowlist: folders that may be opened.
        max_pixels: largest number of pixels of an image that is decoded.

    Yields:
        tables of one row, each a chunk.
    """

    def read(uri: str) -> bytes:
        absolute = resolve_allowed(uri, base, allowlist)
        # On AccessError the committer stops the job; on StorageUnavailable it retries the pair.
        with telemetry.time_stage("read"):
            return read_image_file(absolute, uri, base, allowlist)

    logs.log_to_ray_file()
    with ThreadPoolExecutor(_READERS) as readers:
        for item in items.to_pylist():
            for chunk in _decode_item(item, read, max_pixels, readers):
                logs.log_failures(chunk.shard, chunk.pair_ids, chunk.failures)
                yield chunk.to_arrow()


def resolve_allowed(uri: str, base: str, allowlist: Allowlist) -> str:
    """Make the URI of a manifest's image absolute, and check that it may be opened.

    Args:
        uri: URI in the manifest.
        base: URI of the folder that relative URIs are relative to.
        allowlist: folders that may be opened.

    Raises:
        NotAllowed: the file is below none of the folders.
        ImageReadError: no file can have this name.
    """
    absolute = storage.resolve(uri, base)
    if "\0" in absolute:
        raise ImageReadError("a name with a zero byte")
    try:
        allowlist.check(absolute)
    except NotAllowed as error:
        raise NotAllowed(f"{error}{explain_not_allowed(absolute, allowlist)}") from error
    return absolute


def _decode_item(
    item: dict[str, Any], read: Read, max_pixels: int, readers: ThreadPoolExecutor
) -> Iterator[Chunk]:
    reference, mask = item[schema.REFERENCE], item[schema.MASK] or None
    name = f"{reference}\n{mask or ''}"
    pairs = list(zip(item[ROWS], item[PAIR_IDS], item[schema.DISTORTED], strict=True))
    decoded = _decode_reference(reference, mask, read, max_pixels)
    if isinstance(decoded, Failure):
        chunk = Chunk(item[SHARD], name)
        for row, pair_id, _ in pairs:
            chunk.add(row, pair_id, None, decoded)
        yield chunk
        return

    chunk = Chunk(item[SHARD], name, *decoded)
    contents = _read_ahead([uri for _, _, uri in pairs], read, readers)
    for (row, pair_id, uri), content in zip(pairs, contents, strict=True):
        try:
            image = _timed(decode_image, content.result(), max_pixels)
            check_size(image, decoded[0])
            chunk.add(row, pair_id, image)
        except Exception as error:  # any error fails only the rows of its image
            chunk.add(row, pair_id, None, Failure.from_exception(error, uri))
        if sum(image.nbytes for image in chunk.images if image is not None) >= CHUNK_BYTES:
            yield chunk
            chunk = Chunk(item[SHARD], name, *decoded)
    if chunk.rows:
        yield chunk


def _decode_reference(
    reference: str, mask: str | None, read: Read, max_pixels: int
) -> tuple[Pixels, Pixels8 | None] | Failure:
    """Decode a reference and its mask; return a failure if one of them cannot be used."""
    try:
        pixels = _timed(decode_image, read(reference), max_pixels)
    except Exception as error:
        return Failure.from_exception(error, f"reference {reference}")
    if mask is None:
        return pixels, None
    try:
        mask_pixels = _timed(decode_mask, read(mask), max_pixels)
        check_size(mask_pixels, pixels)
    except Exception as error:
        return Failure.from_exception(error, f"mask {mask}")
    return pixels, mask_pixels


def _read_ahead(
    uris: Iterable[str], read: Read, readers: ThreadPoolExecutor
) -> Iterator[Future[bytes]]:
    """Read files, and yield them in order. The larger they are, the fewer are read ahead."""
    waiting, limit = iter(uris), _FILES_AHEAD_AT_START
    reading = deque[Future[bytes]]()
    while True:
        to_start = islice(waiting, max(0, limit - len(reading)))
        reading.extend(readers.submit(read, uri) for uri in to_start)
        if not reading:
            return
        content = reading.popleft()
        yield content
        if content.exception() is None:
            size = max(1, len(content.result()))
            limit = max(1, min(_MAX_FILES_AHEAD, _MAX_BYTES_AHEAD // size))


def _timed(decoder: Callable[[bytes, int], _Array], content: bytes, max_pixels: int) -> _Array:
    with telemetry.time_stage("decode"):
        return decoder(content, max_pixels)
