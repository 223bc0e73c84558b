"""Read and write the chunks of PNG and APNG files, and decompress their pixels.

PNG Specification, third edition (W3C, 2025); the numbers of clauses refer to it.
"""

import struct
import zlib
from collections.abc import Iterable, Iterator
from typing import NamedTuple, TypeAlias

from roi_ray.errors import ImageReadError

Chunk: TypeAlias = tuple[bytes, memoryview]
"""Type and content of a chunk."""

GREY, RGB, PALETTE, GREY_ALPHA, RGB_ALPHA = 0, 2, 3, 4, 6
_DEPTHS = {
    GREY: (1, 2, 4, 8, 16),
    RGB: (8, 16),
    PALETTE: (1, 2, 4, 8),
    GREY_ALPHA: (8, 16),
    RGB_ALPHA: (8, 16),
}
"""Bits per sample that each colour type allows (table 12)."""

CHANNELS = {GREY: 1, RGB: 3, PALETTE: 1, GREY_ALPHA: 2, RGB_ALPHA: 4}

METADATA = (b"iCCP", b"eXIf", b"tEXt", b"zTXt", b"iTXt")
"""Types of the chunks from which Pillow reads the profile and the orientation."""

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHECKED = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"cICP", b"fcTL", b"fdAT")
_ADAM7 = (
    *((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4)),
    *((0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)),
)
"""Left, top and steps of each pass of an interlaced image (8.1)."""

_INPUT_PART, _OUTPUT_PART = 1 << 16, 1 << 20
"""Bytes that are decompressed, and that result, at a time."""


class Header(NamedTuple):
    """The IHDR chunk (11.2.1)."""

    width: int
    height: int
    depth: int
    colour: int
    compression: int
    filtering: int
    interlacing: int


class Frame(NamedTuple):
    """An animation's frame: its place on the canvas and its compressed pixels."""

    width: int
    height: int
    left: int
    top: int
    idat: list[memoryview]


class Pass(NamedTuple):
    """A pass over an image (8.1): its size, its row's bytes with the filter's, and its pixels."""

    width: int
    height: int
    row_size: int
    left: int
    top: int
    step_right: int
    step_down: int


def read_chunks(data: bytes) -> Iterator[Chunk]:
    """Yield the chunks up to IEND.

    Raises:
        ImageReadError: a chunk that matters for the pixels is damaged or truncated.
    """
    view, position = memoryview(data), len(_SIGNATURE)
    while position + 8 <= len(data):
        length = int.from_bytes(view[position : position + 4])
        kind, end = bytes(view[position + 4 : position + 8]), position + 8 + length
        # Damage in metadata is left to Pillow.
        if kind in _CHECKED:
            if end + 4 > len(data):
                raise ImageReadError("cannot be decoded: the PNG is truncated")
            if zlib.crc32(view[position + 4 : end]) != int.from_bytes(view[end : end + 4]):
                raise ImageReadError(f"cannot be decoded: the PNG is damaged (CRC of {kind!r})")
        yield kind, view[position + 8 : end]
        if kind == b"IEND":
            return
        position = end + 4


def read_header(chunks: list[Chunk]) -> Header:
    """Read the header, and check that a palette and pixels follow where they must.

    Raises:
        ImageReadError: they do not, or the header is missing or invalid.
    """
    kind, content = chunks[0] if chunks else (b"", memoryview(b""))
    if kind == b"CgBI":
        raise ImageReadError(
            "an Apple-optimised PNG (CgBI), which only Apple's software reads; convert it with "
            "`pngcrush -revert-iphone-optimizations`"
        )
    if kind != b"IHDR" or len(content) != 13:
        raise ImageReadError("cannot be decoded: the PNG does not begin with a header (IHDR)")
    header = Header(*struct.unpack(">IIBBBBB", content))
    size_is_valid = 0 < header.width < 1 << 31 and 0 < header.height < 1 << 31
    methods = (header.compression, header.filtering, header.interlacing)
    if (
        header.depth not in _DEPTHS.get(header.colour, ())
        or methods not in ((0, 0, 0), (0, 0, 1))
        or not size_is_valid
    ):
        raise ImageReadError(f"cannot be decoded: the PNG's header is invalid: {header}")
    kinds = _kinds_before_pixels(chunks)
    if header.colour == PALETTE and b"PLTE" not in kinds:
        raise ImageReadError("cannot be decoded: the PNG has palette indices but no palette (PLTE)")
    if len(kinds) == len(chunks):
        raise ImageReadError("cannot be decoded: the PNG has no pixels (IDAT); it may be truncated")
    return header


def _kinds_before_pixels(chunks: list[Chunk]) -> list[bytes]:
    kinds = [kind for kind, _ in chunks]
    return kinds[: kinds.index(b"IDAT")] if b"IDAT" in kinds else kinds


def find_hidden_frame(chunks: list[Chunk]) -> Frame | None:
    """Find the first frame of an animation to which the default image does not belong.

    Viewers that know APNG do not show the default image then (4.9).
    """
    before = _kinds_before_pixels(chunks)
    if before.count(b"acTL") != 1 or b"fcTL" in before:
        return None
    frame: Frame | None = None
    for kind, content in chunks[len(before) :]:
        if kind == b"fcTL":
            if frame is not None or len(content) != 26:
                break
            width, height, left, top = struct.unpack_from(">IIII", content, 4)
            frame = Frame(width, height, left, top, [])
        elif kind == b"fdAT" and frame is not None:
            frame.idat.append(content[4:])
    return frame if frame is not None and frame.idat else None


def assemble_png(header: Header, chunks: Iterable[Chunk], idat: bytes) -> bytes:
    """Put a PNG file together from a header, other chunks and compressed pixels."""
    parts: list[bytes | memoryview] = [_SIGNATURE]
    ihdr = struct.pack(">IIBBBBB", *header)
    every: list[tuple[bytes, bytes | memoryview]] = [(b"IHDR", ihdr), *chunks]
    for kind, content in (*every, (b"IDAT", idat), (b"IEND", b"")):
        crc = zlib.crc32(content, zlib.crc32(kind))
        parts += [struct.pack(">I4s", len(content), kind), content, struct.pack(">I", crc)]
    return b"".join(parts)


def list_passes(header: Header) -> list[Pass]:
    """List the passes that have pixels; an image that is not interlaced has one."""
    passes = []
    for left, top, right, down in _ADAM7 if header.interlacing else ((0, 0, 1, 1),):
        width, height = -(-(header.width - left) // right), -(-(header.height - top) // down)
        if width > 0 and height > 0:
            bits = width * header.depth * CHANNELS[header.colour]
            passes.append(Pass(width, height, 1 + (bits + 7) // 8, left, top, right, down))
    return passes


def inflate(idat: Iterable[memoryview], sizes: Iterable[int]) -> Iterator[bytes]:
    """Decompress pixels, and yield them in blocks of these sizes.

    Raises:
        ImageReadError: some are missing.
    """
    parts, block = _inflate_parts(idat), bytearray()
    for size in sizes:
        while len(block) < size:
            part = next(parts, b"")
            if not part:
                raise ImageReadError(
                    "cannot be decoded: the PNG has too few pixels; it may be truncated"
                )
            block += part
        yield bytes(memoryview(block)[:size])
        del block[:size]


def _inflate_parts(idat: Iterable[memoryview]) -> Iterator[bytes]:
    inflater = zlib.decompressobj()
    for content in idat:
        for start in range(0, len(content), _INPUT_PART):
            rest: bytes | memoryview = content[start : start + _INPUT_PART]
            while rest and not inflater.eof:
                if part := inflater.decompress(rest, _OUTPUT_PART):
                    yield part
                rest = inflater.unconsumed_tail
    if part := inflater.flush():
        yield part
