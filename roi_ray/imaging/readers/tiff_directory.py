"""Read the directories of a TIFF: TIFF 6.0, section 2, and BigTIFF.

A directory (IFD) lists the tags of one image. Nothing in it is trusted: values must lie within the
file, and a chain of directories may be a loop.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from roi_ray.errors import ImageReadError

_MAX_DIRECTORIES = 32
"""Directories that are searched for the main image."""

_MAX_ENTRIES = 4096
_MAX_VALUES = 1 << 17
"""Largest number of strips or tiles, or of values of any other tag: each costs some memory."""

_VALUE_TYPES = {1: "u1", 7: "u1", 3: "u2", 8: "u2", 4: "u4", 9: "u4", 13: "u4", 16: "u8", 18: "u8"}
"""numpy's names of the integer types: BYTE, UNDEFINED, (S)SHORT, (S)LONG, IFD, LONG8 and IFD8."""

_VALUE_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}
_VALUE_SIZES |= {13: 4, 16: 8, 17: 8, 18: 8}


class Tag(IntEnum):
    """Tags that are read, by their names in TIFF 6.0 and the registered extensions."""

    NEW_SUBFILE_TYPE = 254
    SUBFILE_TYPE = 255
    IMAGE_WIDTH = 256
    IMAGE_LENGTH = 257
    BITS_PER_SAMPLE = 258
    COMPRESSION = 259
    PHOTOMETRIC = 262
    FILL_ORDER = 266
    STRIP_OFFSETS = 273
    ORIENTATION = 274
    SAMPLES_PER_PIXEL = 277
    ROWS_PER_STRIP = 278
    STRIP_BYTE_COUNTS = 279
    PLANAR_CONFIGURATION = 284
    PREDICTOR = 317
    COLOR_MAP = 320
    TILE_WIDTH = 322
    TILE_LENGTH = 323
    TILE_OFFSETS = 324
    TILE_BYTE_COUNTS = 325
    SUB_IFDS = 330
    INK_SET = 332
    EXTRA_SAMPLES = 338
    SAMPLE_FORMAT = 339
    JPEG_TABLES = 347
    IMAGE_DEPTH = 32997
    ICC_PROFILE = 34675
    DNG_VERSION = 50706


@dataclass(frozen=True)
class Directory:
    """One directory of a TIFF.

    Attributes:
        data: the file's content.
        byte_order: `<` or `>`.
        is_big: whether the file is a BigTIFF, whose offsets have 8 bytes.
        entries: the entry of each tag as it stands in the file: tag, type, count, value or offset.
        following: offset of the next directory, or 0.
    """

    data: bytes
    byte_order: str
    is_big: bool
    entries: dict[int, bytes]
    following: int

    def read_numbers(self, tag: Tag) -> NDArray[np.uint64]:
        """Read the unsigned integers of a tag; empty if the directory lacks the tag.

        Raises:
            ImageReadError: the values are not integers, too many, or beyond the end of the file.
        """
        if tag not in self.entries:
            return np.empty(0, np.uint64)
        kind, count, raw = self._read_value(tag)
        if kind not in _VALUE_TYPES:
            raise ImageReadError(
                f"cannot be decoded: the TIFF's tag {tag.name} has no integers (type {kind})"
            )
        if count > _MAX_VALUES:
            raise ImageReadError(
                f"the TIFF's tag {tag.name} has {count} values, more than the {_MAX_VALUES} that "
                "are supported; save it with larger strips or tiles"
            )
        return np.frombuffer(raw, self.byte_order + _VALUE_TYPES[kind]).astype(np.uint64)

    def read_number(self, tag: Tag, default: int) -> int:
        """Read the first integer of a tag."""
        numbers = self.read_numbers(tag)
        return int(numbers[0]) if numbers.size else default

    def read_bytes(self, tag: Tag) -> bytes | None:
        """Read a tag's value as bytes; None if the directory lacks the tag."""
        return bytes(self._read_value(tag)[2]) if tag in self.entries else None

    def _read_value(self, tag: Tag) -> tuple[int, int, memoryview]:
        entry = self.entries[tag]
        kind, count = struct.unpack_from(
            self.byte_order + ("HQ" if self.is_big else "HL"), entry, 2
        )
        size = count * _VALUE_SIZES.get(kind, 1)
        field = 12 if self.is_big else 8
        if size <= len(entry) - field:
            return kind, count, memoryview(entry)[field : field + size]
        (offset,) = struct.unpack_from(
            self.byte_order + ("Q" if self.is_big else "L"), entry, field
        )
        if offset + size > len(self.data):
            raise ImageReadError(
                f"cannot be decoded: the TIFF's tag {tag.name} lies beyond the end of the file; it "
                "is truncated"
            )
        return kind, count, memoryview(self.data)[offset : offset + size]


def read_directories(data: bytes) -> list[Directory]:
    """Read the main directories in their order, then the SubIFDs of each; at most 32.

    Raises:
        ImageReadError: the first directory cannot be read; later ones are left out.
    """
    byte_order = "<" if data[:2] == b"II" else ">"
    is_big = data[2:4] in (b"+\0", b"\0+")
    start = data[8:16] if is_big else data[4:8]
    first = int.from_bytes(start, "little" if byte_order == "<" else "big")
    chain = [_read_directory(data, first, byte_order, is_big)]
    visited = {first}
    while (offset := chain[-1].following) and offset not in visited:
        visited.add(offset)
        if not (directory := _try_directory(chain[0], offset)) or len(chain) == _MAX_DIRECTORIES:
            break
        chain.append(directory)
    nested = (sub for directory in chain for sub in _read_sub_directories(directory))
    return [*chain, *(sub for sub, _ in zip(nested, range(_MAX_DIRECTORIES), strict=False))]


def _read_sub_directories(directory: Directory) -> Iterator[Directory]:
    try:
        offsets = directory.read_numbers(Tag.SUB_IFDS)[:_MAX_DIRECTORIES]
    except ImageReadError:
        return
    for offset in offsets:
        if sub := _try_directory(directory, int(offset)):
            yield sub


def _try_directory(first: Directory, offset: int) -> Directory | None:
    try:
        return _read_directory(first.data, offset, first.byte_order, first.is_big)
    except ImageReadError:
        return None


def _read_directory(data: bytes, offset: int, byte_order: str, is_big: bool) -> Directory:
    counter, pointer, size = ("Q", "Q", 20) if is_big else ("H", "L", 12)
    start = offset + struct.calcsize("=" + counter)
    if not offset or start > len(data):
        raise ImageReadError(
            "cannot be decoded: the TIFF's directory lies beyond the end of the file"
        )
    (count,) = struct.unpack_from(byte_order + counter, data, offset)
    end = start + count * size
    if count > _MAX_ENTRIES or end > len(data):
        raise ImageReadError(
            f"cannot be decoded: the TIFF's directory of {count} tags does not fit into the file"
        )
    entries: dict[int, bytes] = {}
    for position in range(start, end, size):
        (tag,) = struct.unpack_from(byte_order + "H", data, position)
        entries.setdefault(tag, data[position : position + size])
    following = 0
    if end + struct.calcsize("=" + pointer) <= len(data):
        (following,) = struct.unpack_from(byte_order + pointer, data, end)
    return Directory(data, byte_order, is_big, entries, following)
