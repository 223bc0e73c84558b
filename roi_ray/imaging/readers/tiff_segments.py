"""Decode the strips and tiles of a TIFF: TIFF 6.0, sections 3, 8, 9, 14 and 15.

tifffile and libtiff were tried on the grid of `test_tiff.py`. libtiff through imagecodecs misreads
packed samples under PackBits and refuses CMYK; tifffile refuses last strips that are padded to the
full height. So strips are decompressed here, by imagecodecs' codecs: each gets an output buffer of
the strip's true size, whatever the file says.
"""

from collections.abc import Iterator
from types import ModuleType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from roi_ray.errors import ImageReadError
from roi_ray.imaging import limits
from roi_ray.imaging.readers.jpeg import read_frame
from roi_ray.imaging.readers.pillow import read_pillow
from roi_ray.imaging.readers.tiff_directory import Directory, Tag
from roi_ray.imaging.readers.tiff_layout import (
    DEFLATE,
    JPEG,
    LZMA,
    LZW,
    PACKBITS,
    RGB,
    UNCOMPRESSED,
    WEBP,
    YCBCR,
    ZSTD,
    Layout,
)
from roi_ray.imaging.samples import Samples

_BYTE_CODECS = {
    LZW: "lzw_decode",
    PACKBITS: "packbits_decode",
    LZMA: "lzma_decode",
    ZSTD: "zstd_decode",
} | dict.fromkeys(DEFLATE, "deflate_decode")
"""imagecodecs' functions by the value of Compression."""

_PREDICTING = (LZW, LZMA, ZSTD, *DEFLATE)
"""Compressions with a predictor; libtiff ignores the tag with all others."""


class _Place(NamedTuple):
    """Where a segment lies in the image, and how many of its rows are stored at least."""

    plane: int
    top: int
    left: int
    rows: int


def read_segments(data: bytes, directory: Directory, layout: Layout) -> Samples:
    """Decode all strips or tiles.

    Args:
        data: the file's content.
        directory: lists the strips or tiles.
        layout: checked by the caller: a segment and all segments together are of bounded size.

    Returns:
        (height, width, samples), uint8 or uint16: the samples as stored, 0..2^bits - 1.

    Raises:
        ImageReadError: a segment is damaged or lies beyond the end of the file.
    """
    offsets, byte_counts = _read_table(directory, layout, len(data))
    content = memoryview(data)
    if layout.segment_count == 1 and not layout.is_tiled:  # without a second array
        return _decode_segment(_cut(content, offsets[0], byte_counts[0]), layout, layout.height)
    image = np.empty((layout.height, layout.width, layout.samples), layout.dtype)
    for place, offset, size in zip(_places(layout), offsets, byte_counts, strict=False):
        segment = _decode_segment(_cut(content, offset, size), layout, place.rows)
        target = image[place.top :, place.left :][: place.rows, : layout.segment_width]
        cropped = segment[: target.shape[0], : target.shape[1]]
        if layout.is_planar:
            target[..., place.plane] = cropped[..., 0]
        else:
            target[...] = cropped
    return image


def _read_table(
    directory: Directory, layout: Layout, file_size: int
) -> tuple[list[int], list[int]]:
    """Read the offset and size of each strip or tile."""
    tags = (Tag.STRIP_OFFSETS, Tag.STRIP_BYTE_COUNTS)
    if layout.is_tiled:
        tags = (Tag.TILE_OFFSETS, Tag.TILE_BYTE_COUNTS)
    offsets, byte_counts = (directory.read_numbers(tag).tolist() for tag in tags)
    count = layout.segment_count
    raw_size = count * layout.segment_height * layout.row_bytes
    if count == 1 and offsets and not byte_counts:
        is_raw = layout.compression == UNCOMPRESSED
        byte_counts = [raw_size if is_raw else max(0, file_size - offsets[0])]
    if min(len(offsets), len(byte_counts)) < count:
        raise ImageReadError(
            f"cannot be decoded: the TIFF lists {len(offsets)} strips or tiles of {count}; it is "
            "damaged"
        )
    if sum(byte_counts[:count]) > file_size + raw_size:  # else each would be read again and again
        raise ImageReadError("cannot be decoded: the strips or tiles of the TIFF overlap")
    return offsets[:count], byte_counts[:count]


def _cut(content: memoryview, offset: int, size: int) -> memoryview:
    if offset + size > len(content):
        raise ImageReadError(
            "cannot be decoded: a strip or tile of the TIFF lies beyond the end of the file; it is "
            "truncated"
        )
    return content[offset : offset + size]


def _places(layout: Layout) -> Iterator[_Place]:
    for plane in range(layout.samples if layout.is_planar else 1):
        for top in range(0, layout.height, layout.segment_height):
            rows = layout.segment_height
            if not layout.is_tiled:
                rows = min(rows, layout.height - top)
            for left in range(0, layout.width, layout.segment_width):
                yield _Place(plane, top, left, rows)


def _decode_segment(data: bytes | memoryview, layout: Layout, rows: int) -> Samples:
    """Decode a strip or tile to (rows, segment_width, channels)."""
    shape = (rows, layout.segment_width, layout.channels)
    if layout.compression == JPEG:
        return _decode_jpeg(bytes(data), layout, shape)
    if layout.compression == WEBP:
        return _decode_webp(bytes(data), shape)
    if layout.is_reversed:
        data = _codecs().bitorder_decode(data)
    if codec := _BYTE_CODECS.get(layout.compression):
        # The last strip may be padded to the height of the others.
        data = getattr(_codecs(), codec)(data, out=layout.segment_height * layout.row_bytes)
    needed = rows * layout.row_bytes
    if len(data) < needed:
        raise ImageReadError(
            f"cannot be decoded: a strip or tile of the TIFF has {len(data)} of {needed} bytes; it "
            "is truncated"
        )
    samples = _unpack(data[:needed], layout).reshape(shape)
    if layout.predictor == 2 and layout.compression in _PREDICTING:
        samples = _codecs().delta_decode(samples, axis=1)
        if layout.bits not in (8, 16):  # the sums wrap at 8 or 16 bits, not at the sample's
            samples &= layout.dtype((1 << layout.bits) - 1)
    return samples


def _unpack(data: bytes | memoryview, layout: Layout) -> Samples:
    """Return the samples of packed bytes."""
    if layout.bits == 8:
        return np.frombuffer(data, np.uint8)
    if layout.bits == 16:
        return np.frombuffer(data, layout.byte_order + "u2").astype(np.uint16, copy=False)
    unpacked: Samples = _codecs().packints_decode(
        data, layout.dtype, layout.bits, runlen=layout.segment_width * layout.channels
    )
    return unpacked


def _decode_jpeg(data: bytes, layout: Layout, shape: tuple[int, int, int]) -> Samples:
    """Decode a JPEG (TIFF Technical Note 2). Pillow's libtiff prints what it finds damaged."""
    limits.check_decoding_cost(data)
    rows, width, channels = shape
    header = read_frame(data)
    frame = [header.bit_depth, header.height, header.width, header.components]
    # The last strip may be padded to the height of the others.
    if frame not in [[layout.bits, n, width, channels] for n in (rows, layout.segment_height)]:
        raise ImageReadError(
            f"cannot be decoded: a JPEG of {frame} (bits, rows, columns, channels) in a TIFF strip "
            f"or tile of {[layout.bits, *shape]}"
        )
    is_colour = channels == 3 and layout.photometric in (RGB, YCBCR)
    stored = ("YCBCR" if layout.photometric == YCBCR else "RGB") if is_colour else None
    decoded: Samples = _codecs().jpeg_decode(
        data,
        bitspersample=layout.bits,
        tables=layout.jpeg_tables,
        colorspace=stored,
        outcolorspace="RGB" if is_colour else None,
    )
    return decoded.reshape(frame[1:])[:rows]


def _decode_webp(data: bytes, shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    rows, width, channels = shape
    raster = read_pillow(data, rows * width, ("WEBP",))
    samples = raster.samples.astype(np.uint8, copy=False)
    if channels == 4 and samples.shape == (rows, width, 3):  # an opaque alpha is left out
        opaque = np.full((rows, width, 1), 255, np.uint8)
        samples = np.concatenate([samples, opaque], axis=2)
    if samples.shape != shape:
        raise ImageReadError(
            f"cannot be decoded: a WebP of {samples.shape} in a TIFF strip or tile of {shape}"
        )
    return samples


def _codecs() -> ModuleType:
    import imagecodecs  # large, and few files need it

    module: ModuleType = imagecodecs
    return module
