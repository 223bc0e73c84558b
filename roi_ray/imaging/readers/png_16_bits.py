"""Decode PNG pixels of 16 bits per sample, which Pillow reduces to 8.

libpng (by imagecodecs) undoes the filters. It never sees the file itself: its error handler in
imagecodecs 2026.3.6 releases a reference to None that it does not own, so that Python dies after
some thousand damaged files. So the pixels are decompressed and checked here.
"""

import zlib
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from roi_ray.errors import ImageReadError
from roi_ray.imaging.raster import Raster
from roi_ray.imaging.readers.pillow import read_pillow
from roi_ray.imaging.readers.png_chunks import (
    CHANNELS,
    GREY,
    GREY_ALPHA,
    METADATA,
    RGB_ALPHA,
    Chunk,
    Header,
    Pass,
    assemble_png,
    inflate,
    list_passes,
)

_LAST_FILTER = 4
_MAX_WIDTH = 1_000_000
"""libpng's own limit."""

_BAND_PIXELS = 1 << 18
"""Pixels that are decoded at a time, so that intermediate copies need little memory."""


def read_16_bits(header: Header, chunks: list[Chunk], idat: list[memoryview]) -> Raster:
    """Read compressed pixels, and the file's profile and orientation.

    Args:
        header: size and type of the pixels.
        chunks: all chunks of the file.
        idat: the compressed pixels.
    """
    # Pillow reads the metadata from a file of one pixel.
    metadata = [chunk for chunk in chunks if chunk[0] in METADATA]
    one_pixel = assemble_png(Header(1, 1, 8, GREY, 0, 0, 0), metadata, zlib.compress(bytes(2)))
    raster = read_pillow(one_pixel, 1, ("PNG",))

    keys = [content for kind, content in chunks if kind == b"tRNS"]
    channels = CHANNELS[header.colour]
    has_alpha = header.colour in (GREY_ALPHA, RGB_ALPHA)
    has_key = not has_alpha and bool(keys) and len(keys[0]) == 2 * channels
    samples = np.empty((header.height, header.width, channels + has_key), np.uint16)
    passes = list_passes(header)
    blocks = inflate(
        idat, (rows * part.row_size for part in passes for rows in _band_heights(part))
    )
    for part in passes:
        target = samples[part.top :: part.step_down, part.left :: part.step_right]
        top = 0
        for band in _decode_bands(header, part, blocks):
            rows = target[top : top + len(band)]
            rows[..., :channels] = band
            if has_key:  # one colour is transparent (11.3.1.1), compared at all 16 bits
                key = np.frombuffer(keys[0], ">u2").astype(np.uint16)
                rows[..., -1] = np.where((band == key).all(axis=2), 0, 0xFFFF)
            top += len(band)
    return replace(raster, samples=samples, bit_depth=16, has_alpha=has_alpha or has_key)


def _band_heights(part: Pass) -> list[int]:
    rows = max(1, _BAND_PIXELS // part.width)
    return [min(rows, part.height - top) for top in range(0, part.height, rows)]


def _decode_bands(
    header: Header, part: Pass, blocks: Iterator[bytes]
) -> Iterator[NDArray[np.uint16]]:
    """Decode a pass in bands of rows: (rows, width, channels)."""
    above = b""
    for height in _band_heights(part):
        # The filters of a band's first row refer to the row above, which is added unfiltered.
        extra = int(bool(above))
        size = header._replace(width=part.width, height=height + extra, interlacing=0)
        band = _undo_filters(size, above + next(blocks))[extra:]
        above = b"\0" + band[-1].astype(">u2").tobytes()
        yield band


def _undo_filters(header: Header, pixels: bytes) -> NDArray[np.uint16]:
    """Undo the filters of decompressed pixels: (height, width, channels)."""
    import imagecodecs

    filters = np.frombuffer(pixels, np.uint8)[:: len(pixels) // header.height]
    if filters.max() > _LAST_FILTER or header.width > _MAX_WIDTH:
        raise ImageReadError(
            f"cannot be decoded: a PNG of filter type {filters.max()} and width {header.width}, "
            f"of at most {_LAST_FILTER} and {_MAX_WIDTH}"
        )
    file = assemble_png(header, [], zlib.compress(pixels, 0))  # libpng expects a zlib stream
    samples: NDArray[np.uint16] = imagecodecs.png_decode(file)
    return samples.reshape(header.height, header.width, -1)
