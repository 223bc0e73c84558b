"""Small files that cost a decoder much: found by a walk over their structure, before any decoding.

The size in pixels is not looked at here. What is not understood is left to the decoder.
"""

import re

from roi_ray.errors import ImageReadError

# More of these is what a small file can ask for, and no encoder writes; libtiff's limit of scans.
_MAX_SCANS = 100
_MAX_PARTS = 10_000

# Markers that a length follows, to Pillow and libjpeg alike.
_JPEG_SEGMENT = re.compile(rb"\xff([^\x00\x01\xc8\xd0-\xd8\xf0-\xfd\xff])")
# COD or COC up to its precincts: length, ..., number of levels, size of code-blocks, transform.
_JPEG2000_STYLE = re.compile(
    rb"\xff(?=(\x52\0.{6}|\x53\0.{3})([\0-\x20])([\0-\x08])([\0-\x08]).[\0\1])", re.DOTALL
)
_GIF_BLOCK = re.compile(b"[!,;]")
_JPEG2000 = (b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  ")


def check_decoding_cost(data: bytes) -> None:
    """Refuse a file that would cost its decoder far more than its size and pixels.

    Args:
        data: the file's content.

    Raises:
        ImageReadError: it is of that kind.
    """
    if data.startswith(b"\xff\xd8"):
        _check_jpeg(data)
    elif data.startswith(b"\x89PNG"):
        _check_png(data)
    elif data.startswith(b"GIF8"):
        _check_gif(data)
    elif data.startswith(_JPEG2000):
        _check_jpeg2000(data)
    elif data.startswith((b"P1", b"P2", b"P3")):
        _check_parts(data.count(b"#"))  # each comment costs Pillow a copy of a mebibyte


def _check_jpeg(data: bytes) -> None:
    """A scan costs a pass over all pixels; a part of EXIF costs a copy of all parts before it."""
    position, passes, parts = 2, 0, 0
    while found := _JPEG_SEGMENT.search(data, position):
        marker, position = found[1][0], found.end()
        if marker == 0xD9:
            if passes:
                return
            continue
        passes += marker == 0xDA or data.startswith(b"Exif", position + 2)
        parts += 1
        if passes > _MAX_SCANS:
            raise ImageReadError(f"more than {_MAX_SCANS} scans or parts of EXIF")
        _check_parts(parts)
        position += int.from_bytes(data[position : position + 2], "big")


def _check_png(data: bytes) -> None:
    position, parts = 8, 0
    while (kind := data[position + 4 : position + 8]) not in (b"", b"IEND"):
        # A profile is inflated, up to a mebibyte.
        parts += {b"IDAT": 0, b"fdAT": 0, b"iCCP": 100}.get(kind, 1)
        _check_parts(parts)
        position += 12 + int.from_bytes(data[position : position + 4], "big")


def _check_gif(data: bytes) -> None:
    position, parts = 13 + (6 << (data[10] & 7) if data[10] & 0x80 else 0), 0
    while (found := _GIF_BLOCK.search(data, position)) and found[0] == b"!":
        position = found.end() + 1
        while length := data[position]:
            position += 1 + length
            parts += 1
            _check_parts(parts)
        position += 1


def _check_parts(parts: int) -> None:
    """Pillow keeps up to a few hundred bytes for each, however short it is."""
    if parts > _MAX_PARTS:
        raise ImageReadError(f"more than {_MAX_PARTS} chunks, segments or comments")


def _check_jpeg2000(data: bytes) -> None:
    """OpenJPEG takes 300 bytes a code-block and 1.6 kB a precinct, and both may be of 4 pixels."""
    for found in _JPEG2000_STYLE.finditer(data):
        style, levels, width, height = found[1], found[2][0], found[3][0], found[4][0]
        plain = 12 if style[0] == 0x52 else 9
        if style[2] not in (plain, plain + 1 + levels):
            continue  # pixels that look like a marker
        if width + height < 2:
            raise ImageReadError("JPEG 2000 code-blocks of less than 64 pixels")
        end = found.end() + len(style) + 5
        precincts = data[end : end + levels + 1] if style[2] > plain else b""
        for halvings, size in enumerate(reversed(precincts)):
            if (size >> 4) + (size & 15) + 2 * halvings < 10:
                raise ImageReadError("JPEG 2000 precincts of less than 32 x 32 pixels")
