"""The decode stage: work items in, chunks of decoded pixels out.

A chunk is a reference with as many of its distorted images as fit into a number of bytes, so memory
does not depend on the number of images per reference. An image that is larger than planned is
decoded when no other process of this machine works on such a one, if there is memory for it.

This module does not import torch, so that the process of a decode task starts ten seconds earlier.
"""

import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

import pyarrow as pa

from roi_ray import schema
from roi_ray.errors import ImageError, ImageReadError, NotAllowed
from roi_ray.imaging.decode import decode_image, decode_mask
from roi_ray.imaging.header import read_image_header
from roi_ray.imaging.load import read_image_file
from roi_ray.imaging.missing import explain_not_allowed
from roi_ray.imaging.pixels import Pixels, Pixels8, check_size
from roi_ray.io import storage
from roi_ray.io.allowlist import Allowlist
from roi_ray.pipeline.chunk import Chunk
from roi_ray.pipeline.kind import SHARD
from roi_ray.pipeline.plan import PAIR_IDS, ROWS
from roi_ray.runtime import logs, telemetry
from roi_ray.runtime.available import ADVICE_OF_JOBS, exclusive_memory
from roi_ray.schema import Failure
from roi_ray.scoring.needs import LARGE_CHUNK, decoding_need, image_bytes, is_chunk_full

Read = Callable[[str], bytes]
_Array = TypeVar("_Array", Pixels, Pixels8)

# Reading waits for the network or the disk, so many files are read ahead.
_READERS = 16
_FILES_AHEAD_AT_START, _MAX_FILES_AHEAD = 4, 32
_MAX_BYTES_AHEAD = 64 << 20


@dataclass(frozen=True)
class DecodeLimits:
    """Limits of a decode task.

    Attributes:
        max_pixels: largest number of pixels of an image that is decoded.
        planned_pixels: largest number of pixels for which memory is planned.
        chunk_bytes: largest number of bytes of several distorted images of a chunk.
        advice: what to do if there is too little memory for an image, for the message.
        can_wait: whether the decoding thread may wait for the turn of a large image.
    """

    max_pixels: int
    planned_pixels: int = sys.maxsize
    chunk_bytes: int = LARGE_CHUNK
    advice: str = ADVICE_OF_JOBS
    can_wait: bool = True


def decode_work_items(
    items: pa.Table, base: str, allowlist: Allowlist, limits: DecodeLimits
) -> Iterator[pa.Table]:
    """Read and decode the images of work items.

    Args:
        items: from `make_work_items`.
        base: URI of the folder that relative URIs are relative to.
        allowlist: folders that may be opened.
        limits: largest images and chunks.

    Yields:
        tables of one row, each a chunk.
    """

    def read(uri: str) -> bytes:
        return read_allowed(uri, base, allowlist)

    logs.log_to_ray_file()
    with ThreadPoolExecutor(_READERS) as readers:
        for item in items.to_pylist():
            for chunk in _decode_item(item, read, limits, readers):
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
    path = storage.local_path(absolute) if absolute.startswith("file://") else absolute
    if "\0" in path:
        raise ImageReadError("a name with a zero byte")
    try:
        allowlist.check(absolute)
    except NotAllowed as error:
        raise NotAllowed(f"{error}{explain_not_allowed(absolute, allowlist)}") from error
    return absolute


def read_allowed(uri: str, base: str, allowlist: Allowlist) -> bytes:
    """Read the file of a manifest's image; see `resolve_allowed`.

    Raises:
        NotAllowed, ImageReadError: as `resolve_allowed`; or the file cannot be read.
        AccessError: the storage refuses the credentials; the committer then stops the job.
        StorageUnavailable: the storage does not answer; the pair is then retried.
    """
    absolute = resolve_allowed(uri, base, allowlist)
    with telemetry.time_stage("read"):
        return read_image_file(absolute, uri, base, allowlist)


def _decode_item(
    item: dict[str, Any], read: Read, limits: DecodeLimits, readers: ThreadPoolExecutor
) -> Iterator[Chunk]:
    reference, mask = item[schema.REFERENCE], item[schema.MASK] or None
    name = f"{reference}\n{mask or ''}"
    pairs = list(zip(item[ROWS], item[PAIR_IDS], item[schema.DISTORTED], strict=True))
    decoded = _decode_reference(reference, mask, read, limits)
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
            # Without a variable, which would keep the image while the chunk is scored.
            chunk.add(row, pair_id, _decode_distorted(content.result(), decoded[0], limits))
        except Exception as error:  # any error fails only the rows of its image
            chunk.add(row, pair_id, None, Failure.from_exception(error, uri))
        sizes = [image.nbytes for image in chunk.images if image is not None]
        if is_chunk_full(sizes, limits.chunk_bytes):
            yield chunk
            chunk = Chunk(item[SHARD], name, *decoded)
    if chunk.rows:
        yield chunk


def _decode_reference(
    reference: str, mask: str | None, read: Read, limits: DecodeLimits
) -> tuple[Pixels, Pixels8 | None] | Failure:
    """Decode a reference and its mask; return a failure if one of them cannot be used."""
    try:
        pixels = decode_content(decode_image, read(reference), limits)
    except Exception as error:
        return Failure.from_exception(error, f"reference {reference}")
    if mask is None:
        return pixels, None
    try:
        mask_pixels = decode_content(decode_mask, read(mask), limits)
        check_size(mask_pixels, pixels)
    except Exception as error:
        return Failure.from_exception(error, f"mask {mask}")
    return pixels, mask_pixels


def _decode_distorted(content: bytes, reference: Pixels, limits: DecodeLimits) -> Pixels:
    image = decode_content(decode_image, content, limits)
    check_size(image, reference)
    return image


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


def decode_content(
    decoder: Callable[[bytes, int], _Array], content: bytes, limits: DecodeLimits
) -> _Array:
    """Decode an image; one that is larger than planned, when it is its turn.

    Args:
        decoder: `decode_image` or `decode_mask`.
        content: the file's content.
        limits: largest images.

    Raises:
        ImageError: the file cannot be decoded.
        OutOfMemory: a large image needs more memory than is available.
        TurnTaken: see `exclusive_memory`.
    """
    with telemetry.time_stage("decode"), _reserve_memory(content, limits):
        return decoder(content, limits.max_pixels)


def _reserve_memory(content: bytes, limits: DecodeLimits) -> AbstractContextManager[None]:
    try:
        header = read_image_header(content)
    except ImageError:
        return nullcontext()  # the decoder tells why
    if not limits.planned_pixels < header.pixels <= limits.max_pixels:
        return nullcontext()
    image = image_bytes(header.pixels, header.bit_depth)
    need = image + decoding_need(header.pixels, header.bit_depth, header.format)
    what = f"decoding {header.width} x {header.height}"
    return exclusive_memory(need, what, limits.advice, can_wait=limits.can_wait)
