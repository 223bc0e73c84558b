"""What a job's images need: their sizes are read in advance, from the headers of a sample."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from threading import Thread
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from roi_ray import schema
from roi_ray.errors import RoiRayError
from roi_ray.imaging.header import ImageHeader, read_image_header
from roi_ray.io import storage
from roi_ray.io.allowlist import Allowlist
from roi_ray.io.manifest import find_failed
from roi_ray.pipeline.decode_stage import resolve_allowed
from roi_ray.runtime.cluster import chunks_per_batch
from roi_ray.runtime.fit import Demand
from roi_ray.scoring import needs

_SAMPLE = 64
_READERS = 16
_HEADER_BYTES = 256 << 10
_WHOLE_FILES, _WHOLE_BYTES = 4, 256 << 20
"""Files that are read as a whole, because their header is not at the beginning, and their size."""

_SECONDS = 10.0
"""Time for the sample, because a storage may not answer for long."""
_MARGIN = 1.25
"""Other images may be larger than those of the sample."""
_UNKNOWN = ImageHeader(2000, 2000, 16, "PNG")
"""What is planned for if no header can be read."""


def sample_headers(rows: pa.Table, base: str, allowlist: Allowlist) -> list[ImageHeader]:
    """Read the headers of references, and of an image of each, spread evenly over the rows.

    Args:
        rows: rows of a manifest. Those that failed in an earlier step are left out.
        base: URI of the folder that relative URIs are relative to.
        allowlist: folders that may be opened.

    Returns:
        the headers that could be read.
    """
    if (failed := find_failed(rows)) is not None:
        rows = rows.filter(pc.invert(failed))
    numbers = np.linspace(0, max(0, len(rows) - 1), min(_SAMPLE, len(rows))).astype(np.int64)
    sampled = rows.take(np.unique(numbers))
    uris = [
        *dict.fromkeys(sampled[schema.REFERENCE].to_pylist()),
        *dict.fromkeys(sampled[schema.DISTORTED].to_pylist()),
    ]

    def read(uri: str, *, whole: bool = False) -> ImageHeader | None:
        try:
            absolute = resolve_allowed(uri, base, allowlist)
            if whole:
                is_small = storage.file_size(absolute) <= _WHOLE_BYTES
                return read_image_header(storage.read_bytes(absolute)) if is_small else None
            with storage.open_file(absolute) as file:
                return read_image_header(file.read(_HEADER_BYTES))
        except (RoiRayError, OSError):  # the decode stage reports it
            return None

    headers = _map_in_time(read, uris)
    unread = [uri for uri in uris if uri not in headers]
    whole = _map_in_time(partial(read, whole=True), unread[:_WHOLE_FILES])
    return [*headers.values(), *whole.values()]


def _map_in_time(
    read: Callable[[str], ImageHeader | None], uris: Iterable[str]
) -> dict[str, ImageHeader]:
    """Read headers in threads; a file that takes too long is left out, and read in vain."""
    waiting = deque(uris)
    headers: dict[str, ImageHeader] = {}

    def work() -> None:
        with suppress(IndexError):  # nothing is waiting any more
            while True:
                uri = waiting.popleft()
                if header := read(uri):
                    headers[uri] = header

    # Daemons, as an executor would wait for a file that a storage does not deliver.
    threads = [Thread(target=work, daemon=True) for _ in range(min(_READERS, len(waiting)))]
    for thread in threads:
        thread.start()
    end = time.monotonic() + _SECONDS
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    waiting.clear()
    return dict(headers)


class MemoryPlan(NamedTuple):
    """What the largest images of a job are expected to be.

    Attributes:
        pixels: number of pixels.
        bit_depth: bits per sample.
        formats: formats of the images.
        lpips: name of the LPIPS network.
        images: largest number of images of a reference.
    """

    pixels: int
    bit_depth: int
    formats: frozenset[str]
    lpips: str
    images: int

    def demands(self, device: str) -> Iterator[Demand]:
        """Yield what images of this size need, in large and in small chunks, then smaller images.

        Where memory is planned for smaller images only, larger ones are scored one at a time, see
        `exclusive_memory`.
        """
        pixels = self.pixels
        while pixels > 1 << 16 or pixels == self.pixels:
            for chunk_bytes in (needs.LARGE_CHUNK, needs.MEDIUM_CHUNK, needs.SMALL_CHUNK):
                yield self._demand(pixels, chunk_bytes, device)
            pixels //= 2

    def _demand(self, pixels: int, chunk_bytes: int, device: str) -> Demand:
        images = min(self.images, needs.chunk_images(pixels, self.bit_depth, chunk_bytes))
        image = needs.image_bytes(pixels, self.bit_depth)
        chunk = (1 + images) * image
        return Demand(
            pixels=pixels,
            scorer_base=needs.SCORER_BASE[device],
            decoder_base=needs.DECODER_BASE,
            scoring=needs.largest_scoring_need(pixels, images, self.lpips, device),
            # Ray holds a chunk until the next one is ready.
            decoding=2 * chunk
            + max(needs.decoding_need(pixels, self.bit_depth, name) for name in self.formats),
            chunks=chunks_per_batch(device) * chunk,
            # Larger images than planned do not fill larger chunks.
            chunk_bytes=max(needs.SMALL_CHUNK, images * image),
        )


def plan_memory(
    rows: pa.Table, headers: Sequence[ImageHeader], max_pixels: int, lpips: str
) -> MemoryPlan:
    """Plan for images somewhat larger than the largest of a sample.

    Args:
        rows: rows of a manifest.
        headers: from `sample_headers`.
        max_pixels: largest number of pixels of an image that is decoded.
        lpips: name of the LPIPS network.
    """
    headers = headers or [_UNKNOWN]
    largest = max(header.pixels for header in headers)
    return MemoryPlan(
        pixels=min(int(_MARGIN * largest), max_pixels),
        bit_depth=max(header.bit_depth for header in headers),
        formats=frozenset(header.format for header in headers),
        lpips=lpips,
        images=max(rows[schema.REFERENCE].value_counts().field("counts").to_pylist()),
    )
