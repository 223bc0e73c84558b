"""Parse the headers of JPEG 2000 files: the boxes of a JP2 file and the size of a codestream.

Clauses are those of ITU-T T.800 (ISO/IEC 15444-1). JPH, the file format of HTJ2K, and JPX have the
same boxes (T.814, T.801).
"""

import struct
from dataclasses import dataclass
from typing import NamedTuple

from roi_ray.errors import ImageReadError
from roi_ray.imaging.boxes import first_of_each, read_boxes
from roi_ray.imaging.colour.cicp import read_rgb_code_points
from roi_ray.imaging.raster import Cicp

_CODESTREAM = b"\xff\x4f\xff\x51"
"""The first bytes of a codestream: the markers SOC and SIZ."""

_MAX_COMPONENTS = 16384
_RESTRICTED_ICC, _ANY_ICC, _ENUMERATED, _CICP = 2, 3, 1, 5
"""Methods of a colour box (I.5.3.3; T.801, M.11.7.3)."""


class Component(NamedTuple):
    """A component of a codestream: bits per sample, and the distance of its samples in pixels."""

    bit_depth: int
    is_signed: bool
    x_step: int
    y_step: int


class Codestream(NamedTuple):
    """What the SIZ marker segment of a codestream says (A.5.1).

    Attributes:
        profile: Rsiz; 3 to 7 = digital cinema.
        width, height: pixels of the image.
        components: its components.
    """

    profile: int
    width: int
    height: int
    components: tuple[Component, ...]


class Channel(NamedTuple):
    """A row of a channel definition box (I.5.3.6): 0 = colour, 1 = opacity, 2 = premultiplied."""

    number: int
    kind: int
    association: int


@dataclass(frozen=True)
class Jp2Header:
    """What the boxes before the codestream say; a bare codestream has none of this.

    Attributes:
        size: width and height, if the file says so.
        enumerated: EnumCS, the enumerated colourspace, if the file has one.
        icc_profile: ICC profile, if the file has one.
        cicp: CICP code points, if the file has them.
        palette_depths: bits of each channel that a palette gives; empty without a palette.
        channels: meaning of the channels, if the file says so.
    """

    size: tuple[int, int] | None = None
    enumerated: int | None = None
    icc_profile: bytes | None = None
    cicp: Cicp | None = None
    palette_depths: tuple[int, ...] = ()
    channels: tuple[Channel, ...] = ()


def read_headers(data: bytes) -> tuple[Jp2Header, bytes]:
    """Read the boxes of a file.

    Args:
        data: a JP2, JPH or JPX file, or a bare codestream.

    Returns:
        the boxes, and the codestream.

    Raises:
        ImageReadError: there is no codestream, or a box is damaged.
        UnsupportedColour: CICP code points with a matrix or of a narrow range.
    """
    if data.startswith(_CODESTREAM):
        return Jp2Header(), data
    header: Jp2Header | None = None
    for kind, content in read_boxes(data):
        if kind == b"jp2h":
            header = _read_jp2_header(content)
        elif kind == b"jp2c":
            if header is None:
                break
            return header, content
    raise ImageReadError("cannot be decoded: a JP2 file without its header box or its codestream")


def read_size(codestream: bytes) -> Codestream:
    """Read the SIZ marker segment.

    Raises:
        ImageReadError: it is damaged.
    """
    if not codestream.startswith(_CODESTREAM) or len(codestream) < 42:
        raise ImageReadError("cannot be decoded: a JPEG 2000 codestream without its header (SIZ)")
    profile, right, bottom, left, top, *tiling = struct.unpack_from(">H8L", codestream, 6)
    (count,) = struct.unpack_from(">H", codestream, 40)
    fields = codestream[42 : 42 + 3 * count]
    components = tuple(
        Component((depth & 0x7F) + 1, bool(depth & 0x80), x_step, y_step)
        for depth, x_step, y_step in zip(fields[::3], fields[1::3], fields[2::3], strict=False)
    )
    is_complete = 0 < len(components) == count <= _MAX_COMPONENTS
    if not is_complete or right <= left or bottom <= top:
        raise ImageReadError(
            "cannot be decoded: a JPEG 2000 codestream with a damaged header (SIZ)"
        )
    if not all(component.x_step and component.y_step for component in components):
        raise ImageReadError(
            "cannot be decoded: a JPEG 2000 codestream with a damaged header (SIZ)"
        )
    _check_tiles(right, bottom, (right - left) * (bottom - top), *tiling)
    return Codestream(profile, right - left, bottom - top, components)


def _check_tiles(right: int, bottom: int, pixels: int, *tiling: int) -> None:
    """Refuse many tiny tiles: OpenJPEG needs up to 13 kB for each."""
    width, height, left, top = tiling  # XTsiz, YTsiz, XTOsiz, YTOsiz
    if not width or not height:
        raise ImageReadError(
            "cannot be decoded: a JPEG 2000 codestream with a damaged header (SIZ)"
        )
    tiles = -((left - right) // width) * -((top - bottom) // height)
    if tiles > 64 and tiles * 1024 > pixels:
        raise ImageReadError(
            "JPEG 2000 tiles of less than 32 x 32 pixels are not supported; encode it with larger "
            "ones"
        )


def _read_jp2_header(content: bytes) -> Jp2Header:
    """Read the boxes inside of the JP2 header box (I.5.3)."""
    boxes = first_of_each(read_boxes(content))
    colours = [box for kind, box in read_boxes(content) if kind == b"colr"]
    height, width = struct.unpack_from(">LL", boxes.get(b"ihdr", b""))
    depths = _read_palette_depths(boxes) if b"pclr" in boxes else ()
    enumerated, profile, cicp = _read_colour(colours)
    rows = boxes.get(b"cdef", b"\0\0")
    channels = struct.iter_unpack(">HHH", rows[2 : 2 + 6 * int.from_bytes(rows[:2])])
    return Jp2Header(
        (width, height),
        enumerated,
        profile,
        cicp,
        depths,
        tuple(Channel(*row) for row in channels),
    )


def _read_colour(boxes: list[bytes]) -> tuple[int | None, bytes | None, Cicp | None]:
    """Read the first colour box of a known method: as `enumerated`, `icc_profile` and `cicp`."""
    for box in boxes:
        method = box[0] if box else 0
        if method == _ENUMERATED:
            return int.from_bytes(box[3:7]), None, None
        if method in (_RESTRICTED_ICC, _ANY_ICC):
            return None, box[3:], None
        if method == _CICP:
            primaries, transfer, matrix, flags = struct.unpack_from(">HHHB", box, 3)
            is_full_range = bool(flags & 0x80)
            cicp = read_rgb_code_points(
                "a JPEG 2000 file", primaries, transfer, matrix, is_full_range
            )
            return None, None, cicp
    return None, None, None


def _read_palette_depths(boxes: dict[bytes, bytes]) -> tuple[int, ...]:
    """Read the bits of each channel that a palette gives (I.5.3.4, I.5.3.5)."""
    palette, mapping = boxes[b"pclr"], boxes.get(b"cmap", b"")
    depths = [palette[3 + column] for column in mapping[3::4]]
    # Without the top bit, entries are unsigned. A mapping of type 0 does not use the palette.
    if not depths or max(depths) > 15 or set(mapping[2::4]) != {1}:
        raise ImageReadError(
            "a JPEG 2000 palette of signed entries, of more than 16 bits, or used in part only, is "
            "not supported; decode it to PNG with `opj_decompress`"
        )
    return tuple(depth + 1 for depth in depths)
