"""Read PNG and the first frame of APNG, at 1 to 16 bits per sample.

PNG Specification, third edition (W3C, 2025). Pillow decodes the pixels. It has no mode for more
than 8 bits per colour channel, so files of 16 bits are decoded as the bytes that they consist of.
"""

import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import NamedTuple, TypeAlias

import numpy as np

from roi_ray.errors import ImageReadError, UnsupportedColour
from roi_ray.imaging.limits import check_pixel_count
from roi_ray.imaging.raster import Cicp, Raster
from roi_ray.imaging.readers.pillow import read_pillow

_Chunk: TypeAlias = tuple[bytes, memoryview]
"""Type and content of a chunk."""

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY, _RGB, _PALETTE, _GREY_ALPHA, _RGB_ALPHA = 0, 2, 3, 4, 6
_CHANNELS = {_GREY: 1, _RGB: 3, _PALETTE: 1, _GREY_ALPHA: 2, _RGB_ALPHA: 4}
_ADAM7 = (
    *((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4)),
    *((0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)),
)
"""Left, top and steps of each pass of an interlaced image (8.1)."""

_METADATA = (b"iCCP", b"PLTE", b"eXIf", b"tEXt", b"zTXt", b"iTXt")
"""Chunks of the file that are kept where a file for Pillow is put together."""


class _Header(NamedTuple):
    """The IHDR chunk (11.2.1)."""

    width: int
    height: int
    depth: int
    colour: int
    compression: int
    filtering: int
    interlacing: int


class _Frame(NamedTuple):
    """An animation's frame: its place on the canvas and its compressed pixels."""

    width: int
    height: int
    left: int
    top: int
    idat: list[memoryview]


def read_png(data: bytes, max_pixels: int) -> Raster:
    """Read a PNG file, or the first frame of an animated one.

    cICP takes precedence over iCCP, and both over sRGB (4.3); gAMA and cHRM alone are ignored.
    sBIT is ignored too: samples of 16 bits are scaled to 16 bits, whatever their origin.

    Raises:
        ImageReadError, ImageTooLarge, UnsupportedColour: see `decode_image`.
    """
    chunks = list(_read_chunks(data))
    header = _read_header(chunks)
    check_pixel_count(header.width, header.height, max_pixels)
    cicp = _read_cicp(chunks)
    frame = _find_hidden_frame(chunks)
    if frame is None:
        idat = [content for kind, content in chunks if kind == b"IDAT"]
        raster = _read_image(header, chunks, idat, max_pixels, data)
    else:
        right, bottom = frame.left + frame.width, frame.top + frame.height
        if right > header.width or bottom > header.height or not frame.width * frame.height:
            raise ImageReadError("cannot be decoded: the APNG's first frame exceeds its canvas")
        part = header._replace(width=frame.width, height=frame.height)
        raster = _place(_read_image(part, chunks, frame.idat, max_pixels), header, frame)
    return replace(raster, cicp=cicp)


def _read_chunks(data: bytes) -> Iterator[_Chunk]:
    """Yield the chunks up to IEND, and check those that matter for the pixels."""
    view, position = memoryview(data), len(_SIGNATURE)
    while position + 8 <= len(data):
        length = int.from_bytes(view[position : position + 4])
        kind, end = bytes(view[position + 4 : position + 8]), position + 8 + length
        # Damage in metadata is left to Pillow.
        if kind in (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"cICP", b"fcTL", b"fdAT"):
            if end + 4 > len(data):
                raise ImageReadError("cannot be decoded: the PNG is truncated")
            if zlib.crc32(view[position + 4 : end]) != int.from_bytes(view[end : end + 4]):
                raise ImageReadError(f"cannot be decoded: the PNG is damaged (CRC of {kind!r})")
        yield kind, view[position + 8 : end]
        if kind == b"IEND":
            return
        position = end + 4


def _read_header(chunks: list[_Chunk]) -> _Header:
    kind, content = chunks[0] if chunks else (b"", memoryview(b""))
    if kind == b"CgBI":
        raise ImageReadError(
            "an Apple-optimised PNG (CgBI), which only Apple's software reads; convert it with "
            "`pngcrush -revert-iphone-optimizations`"
        )
    if kind != b"IHDR" or len(content) != 13:
        raise ImageReadError("cannot be decoded: the PNG does not begin with a header (IHDR)")
    header = _Header(*struct.unpack(">IIBBBBB", content))
    if header.colour not in _CHANNELS or not header.width * header.height:
        raise ImageReadError(f"cannot be decoded: the PNG's header is invalid: {header}")
    kinds = _kinds_before_pixels(chunks)
    if header.colour == _PALETTE and b"PLTE" not in kinds:
        raise ImageReadError("cannot be decoded: the PNG has palette indices but no palette (PLTE)")
    if len(kinds) == len(chunks):
        raise ImageReadError("cannot be decoded: the PNG has no pixels (IDAT); it may be truncated")
    return header


def _kinds_before_pixels(chunks: list[_Chunk]) -> list[bytes]:
    kinds = [kind for kind, _ in chunks]
    return kinds[: kinds.index(b"IDAT")] if b"IDAT" in kinds else kinds


def _read_cicp(chunks: list[_Chunk]) -> Cicp | None:
    """Read the cICP chunk (11.3.2.6), which must precede the palette and the pixels."""
    for kind, content in chunks:
        if kind in (b"PLTE", b"IDAT"):
            break
        if kind == b"cICP" and len(content) == 4:
            primaries, transfer, matrix, full_range = content
            if matrix != 0 or full_range != 1:
                raise UnsupportedColour(
                    f"a PNG whose cICP chunk says matrix {matrix} and "
                    f"{'full' if full_range == 1 else 'narrow'} range; only RGB (matrix 0) of full "
                    "range is supported: convert it, or correct the chunk if it is wrong"
                )
            return Cicp(primaries, transfer)
    return None


def _find_hidden_frame(chunks: list[_Chunk]) -> _Frame | None:
    """Find the first frame of an animation to which the default image does not belong.

    Viewers that know APNG do not show the default image then (4.9).
    """
    before = _kinds_before_pixels(chunks)
    if before.count(b"acTL") != 1 or b"fcTL" in before:
        return None
    frame: _Frame | None = None
    for kind, content in chunks[len(before) :]:
        if kind == b"fcTL":
            if frame is not None or len(content) != 26:
                break
            width, height, left, top = struct.unpack_from(">IIII", content, 4)
            frame = _Frame(width, height, left, top, [])
        elif kind == b"fdAT" and frame is not None:
            frame.idat.append(content[4:])
    return frame if frame is not None and frame.idat else None


def _place(raster: Raster, canvas: _Header, frame: _Frame) -> Raster:
    """Place a frame on its canvas, which is transparent around it."""
    if raster.samples.shape[:2] == (canvas.height, canvas.width):
        return raster
    channels = raster.samples.shape[2] + (not raster.has_alpha)
    samples = np.zeros((canvas.height, canvas.width, channels), raster.samples.dtype)
    area = samples[frame.top : frame.top + frame.height, frame.left : frame.left + frame.width]
    area[..., -1] = (1 << raster.bit_depth) - 1
    area[..., : raster.samples.shape[2]] = raster.samples
    return replace(raster, samples=samples, has_alpha=True)


def _read_image(
    header: _Header,
    chunks: list[_Chunk],
    idat: list[memoryview],
    max_pixels: int,
    data: bytes | None = None,
) -> Raster:
    """Read compressed pixels, with the file's palette and metadata.

    Args:
        header: size and type of the pixels.
        chunks: all chunks of the file.
        idat: the compressed pixels.
        max_pixels: see `read_png`.
        data: the file, if these are the pixels that its own IDAT chunks hold.
    """
    if header.depth == 16:
        raster = _read_16_bits(header, chunks, b"".join(idat), max_pixels)
    else:
        metadata = [chunk for chunk in chunks if chunk[0] in (*_METADATA, b"tRNS")]
        file = data or _assemble(header, metadata, b"".join(idat))
        raster = read_pillow(file, max_pixels, ("PNG",))
    # Pillow leaves rows that a file lacks as they are: black, or the first colour of the palette.
    if header.interlacing or (raster.samples[-1] == raster.samples[-1, 0]).all():
        _inflate(header, b"".join(idat))
    return raster


def _read_16_bits(header: _Header, chunks: list[_Chunk], pixels: bytes, max_pixels: int) -> Raster:
    metadata = [chunk for chunk in chunks if chunk[0] in _METADATA]
    if header.colour in (_GREY, _GREY_ALPHA):
        # A pixel of grey has 2 bytes, like one of grey and alpha at 8 bits; with alpha it has 4,
        # like RGB and alpha. So Pillow undoes the filters rightly and keeps every byte.
        colour = _GREY_ALPHA if header.colour == _GREY else _RGB_ALPHA
        file = _assemble(header._replace(depth=8, colour=colour), metadata, pixels)
        raster = read_pillow(file, max_pixels, ("PNG",))
        samples = np.ascontiguousarray(raster.samples).view(">u2").astype(np.uint16)
    else:
        # Pillow unpacks either the high or the low bytes. Without compression, twice costs little.
        pixels = zlib.compress(_inflate(header, pixels), 0)
        raster = read_pillow(_assemble(header, metadata, pixels), max_pixels, ("PNG",))
        low_mode = "RGB;16L" if header.colour == _RGB else "RGBA;16L"
        file = _assemble(header, [], pixels)
        low = read_pillow(file, max_pixels, ("PNG",), raw_mode=low_mode).samples
        samples = raster.samples.astype(np.uint16)
        samples <<= 8
        samples |= low
    has_alpha = header.colour in (_GREY_ALPHA, _RGB_ALPHA)
    raster = replace(raster, samples=samples, bit_depth=16, has_alpha=has_alpha)
    keys = [content for kind, content in chunks if kind == b"tRNS"]
    return raster if has_alpha or not keys else _add_colour_key(raster, keys[0])


def _inflate(header: _Header, pixels: bytes) -> bytes:
    """Decompress pixels, filters included, and check that none are missing."""
    bits = header.depth * _CHANNELS[header.colour]
    size = 0
    for left, top, right, down in _ADAM7 if header.interlacing else ((0, 0, 1, 1),):
        width, height = -(-(header.width - left) // right), -(-(header.height - top) // down)
        size += height * (1 + (width * bits + 7) // 8) if width > 0 else 0
    raw = zlib.decompressobj().decompress(pixels, size)
    if len(raw) < size:
        raise ImageReadError("cannot be decoded: the PNG has too few pixels; it may be truncated")
    return raw


def _assemble(header: _Header, chunks: Iterable[_Chunk], idat: bytes) -> bytes:
    parts: list[bytes | memoryview] = [_SIGNATURE]
    ihdr = struct.pack(">IIBBBBB", *header)
    every: list[tuple[bytes, bytes | memoryview]] = [(b"IHDR", ihdr), *chunks]
    for kind, content in (*every, (b"IDAT", idat), (b"IEND", b"")):
        crc = zlib.crc32(content, zlib.crc32(kind))
        parts += [struct.pack(">I4s", len(content), kind), content, struct.pack(">I", crc)]
    return b"".join(parts)


def _add_colour_key(raster: Raster, key: memoryview) -> Raster:
    """Make the pixels of one colour transparent (tRNS, 11.3.1.1), compared at all 16 bits."""
    channels = raster.samples.shape[2]
    if len(key) != 2 * channels:
        return raster
    samples = np.full((*raster.samples.shape[:2], channels + 1), 0xFFFF, np.uint16)
    samples[..., :-1] = raster.samples
    colour = np.frombuffer(key, ">u2").astype(np.uint16)
    samples[(raster.samples == colour).all(axis=2), -1] = 0
    return replace(raster, samples=samples, has_alpha=True)
