"""Read the headers of AV1 streams: the size, depth and colours that a decoder will meet.

The boxes of an AVIF file repeat what the AV1 stream says, and may be wrong. Source: AV1 Bitstream
& Decoding Process Specification, clauses 5.3 (OBUs) and 5.5 (sequence headers).
"""

from collections.abc import Iterator
from typing import NamedTuple

from roi_ray.errors import ImageReadError
from roi_ray.imaging.heif.bits import BitReader
from roi_ray.imaging.raster import Cicp

_SEQUENCE_HEADER, _FRAME_HEADER, _FRAME = 1, 3, 6
_MAX_OBUS = 10_000
_MAX_FRAMES = 8
"""A still has one frame, or one for each of a few layers; others are hidden but decoded."""

_LONGEST_HEADER = 512
"""Bytes; a sequence header of 32 operating points has less."""


class SequenceHeader(NamedTuple):
    """The fields of a sequence header that say what an image is.

    Attributes:
        width: pixels of the largest frame.
        height: pixels of the largest frame.
        bit_depth: 8, 10 or 12.
        cicp: primaries and transfer; 2 is unspecified.
        matrix: MatrixCoefficients (ITU-T H.273).
    """

    width: int
    height: int
    bit_depth: int
    cicp: Cicp
    matrix: int


def read_sequence_headers(data: bytes) -> list[SequenceHeader]:
    """Read all sequence headers of an image's AV1 data.

    Args:
        data: low-overhead OBUs, as in an AVIF item or at the end of `av1C`.

    Raises:
        ImageReadError: a sequence header ends early; or the data has so many OBUs or frames that
            its decoder would work for long.
    """
    headers, frames = [], 0
    for count, (kind, content) in enumerate(_read_obus(data)):
        frames += kind in (_FRAME_HEADER, _FRAME)
        if count >= _MAX_OBUS or frames > _MAX_FRAMES:
            raise ImageReadError(
                f"its AV1 data has more than {_MAX_OBUS} units or {_MAX_FRAMES} frames, too many "
                "for a still image"
            )
        if kind == _SEQUENCE_HEADER:
            headers.append(_read_sequence_header(content[:_LONGEST_HEADER]))
    return headers


def _read_obus(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the type and the first bytes of each OBU (5.3.1)."""
    position = 0
    while position < len(data):
        header = data[position]
        kind, has_extension, has_size = header >> 3 & 15, header >> 2 & 1, header >> 1 & 1
        position += 1 + has_extension
        size, position = _read_leb128(data, position) if has_size else (len(data), position)
        yield kind, data[position : position + min(size, _LONGEST_HEADER)]
        position += size


def _read_leb128(data: bytes, position: int) -> tuple[int, int]:
    """Read a number of 7 bits per byte (4.10.5); return it and the position after it."""
    value = 0
    for i, byte in enumerate(data[position : position + 8]):
        value |= (byte & 127) << 7 * i
        if byte < 128:
            return value, position + i + 1
    raise ImageReadError("cannot be decoded: a unit of its AV1 data has no valid size")


def _read_sequence_header(content: bytes) -> SequenceHeader:
    """Read a sequence header (5.5.1) up to its colours."""
    bits = BitReader(content, "the AV1 sequence header")
    profile = bits.read(3)
    bits.read(1)  # still_picture
    is_reduced = bits.read(1)
    if is_reduced:
        bits.read(5)  # seq_level_idx
    else:
        _skip_operating_points(bits)
    width_bits, height_bits = bits.read(4) + 1, bits.read(4) + 1
    width, height = bits.read(width_bits) + 1, bits.read(height_bits) + 1
    if not is_reduced and bits.read(1):  # frame_id_numbers_present_flag
        bits.read(7)
    bits.read(3)  # superblocks, filter-intra, intra edge filter
    if not is_reduced:
        _skip_inter_tools(bits)
    bits.read(3)  # superres, CDEF, restoration
    return SequenceHeader(width, height, *_read_colours(bits, profile))


def _skip_operating_points(bits: BitReader) -> None:
    delay_bits = 0
    has_decoder_model = False
    if bits.read(1):  # timing_info_present_flag
        bits.read(64)
        if bits.read(1):  # equal_picture_interval
            bits.read_exp_golomb()
        has_decoder_model = bool(bits.read(1))
        if has_decoder_model:
            delay_bits = bits.read(5) + 1
            bits.read(42)
    has_display_delay = bits.read(1)
    for _ in range(bits.read(5) + 1):
        bits.read(12)
        if bits.read(5) > 7:  # seq_level_idx
            bits.read(1)
        if has_decoder_model and bits.read(1):
            bits.read(2 * delay_bits + 1)
        if has_display_delay and bits.read(1):
            bits.read(4)


def _skip_inter_tools(bits: BitReader) -> None:
    bits.read(4)
    has_order_hint = bits.read(1)
    if has_order_hint:
        bits.read(2)
    # seq_choose_screen_content_tools, else seq_force_screen_content_tools
    if (bits.read(1) or bits.read(1)) and not bits.read(1):
        bits.read(1)  # seq_force_integer_mv
    if has_order_hint:
        bits.read(3)


def _read_colours(bits: BitReader, profile: int) -> tuple[int, Cicp, int]:
    """Read the bit depth and the colour description (5.5.2)."""
    is_high = bits.read(1)
    bit_depth = 10 if is_high else 8
    if is_high and profile == 2 and bits.read(1):
        bit_depth = 12
    if profile != 1:
        bits.read(1)  # mono_chrome
    if not bits.read(1):  # color_description_present_flag
        return bit_depth, Cicp(2, 2), 2
    return bit_depth, Cicp(bits.read(8), bits.read(8)), bits.read(8)
