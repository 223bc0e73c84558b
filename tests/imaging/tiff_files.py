"""Write TIFFs of any layout: an independent counterpart of `roi_ray.imaging.readers.tiff`."""

import struct
import zlib
from collections.abc import Callable

import imagecodecs
import numpy as np
from numpy.typing import NDArray

Values = bytes | tuple[int, list[int]]
"""A tag's value: bytes (type UNDEFINED), or its type and numbers."""

COMPRESS: dict[int, Callable[[bytes], bytes]] = {
    1: bytes,
    5: imagecodecs.lzw_encode,
    8: zlib.compress,
    32946: zlib.compress,
    32773: imagecodecs.packbits_encode,
    34925: imagecodecs.lzma_encode,
    50000: imagecodecs.zstd_encode,
}
_LETTERS = {1: "B", 3: "H", 4: "L", 5: "L", 16: "Q"}


def write_tiff(
    samples: NDArray,
    bits: int,
    photometric: int,
    *,
    planar: bool = False,
    tile: tuple[int, int] | None = None,
    rows: int | None = None,
    compression: int = 1,
    predictor: int = 1,
    byte_order: str = "<",
    big: bool = False,
    reverse_bits: bool = False,
    encode: Callable[[NDArray], bytes] | None = None,
    tags: dict[int, Values | None] | None = None,
) -> bytes:
    """Write samples (height, width, samples) as stored, 0..2^bits - 1.

    Args:
        tile: height and width of tiles.
        rows: rows per strip.
        reverse_bits: the lowest bit of a byte comes first (FillOrder 2).
        encode: encodes a strip or tile (rows, columns, samples) as a whole image.
        tags: replace or (None) remove tags.
    """
    height, width, count = samples.shape
    step = tile or (rows or height, width)
    planes = np.split(samples, count, axis=2) if planar else [samples]
    segments = []
    for plane in planes:
        for top in range(0, height, step[0]):
            for left in range(0, width, step[1]):
                part = plane[top : top + step[0], left : left + step[1]].astype(np.int64)
                if tile:
                    missing = [(0, step[0] - part.shape[0]), (0, step[1] - part.shape[1]), (0, 0)]
                    part = np.pad(part, missing)
                if encode:
                    segments.append(encode(part))
                    continue
                if predictor == 2:
                    part = np.diff(part, axis=1, prepend=0 * part[:, :1]) % (1 << bits)
                packed = COMPRESS[compression](pack(part, bits, byte_order))
                segments.append(imagecodecs.bitorder_encode(packed) if reverse_bits else packed)
    offsets, byte_counts = (324, 325) if tile else (273, 279)
    entries: dict[int, Values | None] = {
        256: (4, [width]),
        257: (4, [height]),
        258: (3, [bits] * count),
        259: (3, [compression]),
        262: (3, [photometric]),
        266: (3, [1 + reverse_bits]),
        277: (3, [count]),
        284: (3, [1 + planar]),
        317: (3, [predictor]),
        offsets: (4, [0] * len(segments)),
        byte_counts: (4, [len(segment) for segment in segments]),
    }
    entries |= {322: (3, [step[1]]), 323: (3, [step[0]])} if tile else {278: (4, [step[0]])}
    entries |= tags or {}
    kept = {tag: value for tag, value in sorted(entries.items()) if value is not None}
    return _assemble(kept, segments, offsets, byte_order, big)


def pack(part: NDArray, bits: int, byte_order: str) -> bytes:
    """Pack samples, highest bit first; each row begins at a whole byte."""
    lines = part.reshape(len(part), -1)
    if bits in (8, 16, 32):
        return lines.astype(f"{byte_order}u{bits // 8}").tobytes()
    split = (lines[..., None] >> np.arange(bits - 1, -1, -1)) & 1
    return np.packbits(split.reshape(len(part), -1).astype(np.uint8), axis=1).tobytes()


def _assemble(
    entries: dict[int, Values], segments: list[bytes], offsets: int, byte_order: str, big: bool
) -> bytes:
    word, counter, field = ("Q", "Q", 8) if big else ("L", "H", 4)
    header = b"II" if byte_order == "<" else b"MM"
    if big:
        header += struct.pack(byte_order + "HHHQ", 43, 8, 0, 16)
    else:
        header += struct.pack(byte_order + "HL", 42, 8)

    def to_bytes(value: Values) -> bytes:
        if isinstance(value, bytes):
            return value
        return struct.pack(f"{byte_order}{len(value[1])}{_LETTERS[value[0]]}", *value[1])

    def even(data: bytes) -> bytes:
        return data + b"\0" * (len(data) % 2)

    heap_start = len(header) + struct.calcsize("=" + counter)
    heap_start += len(entries) * (4 + 2 * field) + field
    sizes = [len(to_bytes(value)) for value in entries.values()]
    position = heap_start + sum(size + size % 2 for size in sizes if size > field)
    places = []
    for segment in segments:
        places.append(position)
        position += len(even(segment))
    if offsets in entries:
        entries[offsets] = (4, places)
    directory, heap = struct.pack(byte_order + counter, len(entries)), b""
    for tag, value in entries.items():
        content = to_bytes(value)
        kind, count = (7, len(value)) if isinstance(value, bytes) else (value[0], len(value[1]))
        directory += struct.pack(byte_order + "HH" + word, tag, kind, count // (1 + (kind == 5)))
        if len(content) > field:
            directory += struct.pack(byte_order + word, heap_start + len(heap))
            heap += even(content)
        else:
            directory += content.ljust(field, b"\0")
    return header + directory + bytes(field) + heap + b"".join(map(even, segments))
