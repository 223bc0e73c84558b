"""Refuse decompression bombs: small files that would cost a decoder much time or memory.

The file's structure is walked before anything is decoded. Each reader checks the number of pixels
that the file's header names. Structures that the walk does not understand are left to the decoder.
"""

import re

from roi_ray.errors import ImageReadError, ImageTooLarge

# No encoder writes more than this. 100 scans is also libtiff's limit.
_MAX_SCANS = 100
_MAX_BLOCKS = 10_000

_MIN_TILE_LIMIT = 1 << 20
_MAX_TILING = 4
"""Tiles extend beyond the right and the bottom edge, by less than a tile each."""

# Markers after which Pillow and libjpeg expect a length.
_JPEG_SEGMENT = re.compile(rb"\xff([^\x00\x01\xc8\xd0-\xd8\xf0-\xfd\xff])")
# A COD or COC marker segment up to its precincts: length, ..., levels, code-block size, transform.
_JPEG2000_STYLE = re.compile(
    rb"\xff(?=(\x52\0.{6}|\x53\0.{3})([\0-\x20])([\0-\x08])([\0-\x08]).[\0\1])", re.DOTALL
)
_GIF_BLOCK = re.compile(b"[!,;]")
_JPEG2000_SIGNATURES = (b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  ")


def check_pixel_count(width: int, height: int, max_pixels: int) -> None:
    """Check the size of an image before it is decoded.

    Raises:
        ImageTooLarge: it has more than `max_pixels` pixels.
    """
    if width * height > max_pixels:
        raise ImageTooLarge(
            f"{width} x {height} is {width * height} pixels, more than the {max_pixels} that "
            "--max-pixels (max_pixels) allows",
            size=(height, width),
        )


def check_tiles(width: int, height: int, count: int, max_pixels: int) -> None:
    """Check tiles before they are decoded: whole ones, which may extend beyond the image.

    Args:
        width: pixels of a tile.
        height: pixels of a tile.
        count: number of tiles.
        max_pixels: largest image that is decoded. A tile of up to a mebipixel is always accepted.

    Raises:
        ImageTooLarge: a tile has more pixels, or all together more than 4 times as many.
    """
    limit = max(max_pixels, _MIN_TILE_LIMIT)
    if width * height > limit or count * width * height > _MAX_TILING * limit:
        raise ImageTooLarge(
            f"its tiles, {count} of {width} x {height}, are {count * width * height} pixels, far "
            f"more than the {max_pixels} that --max-pixels (max_pixels) allows"
        )


def check_decoding_cost(data: bytes) -> None:
    """Refuse a file that would cost its decoder far more than its size and pixels justify.

    Args:
        data: the file's content.

    Raises:
        ImageReadError: the file is a decompression bomb.
    """
    if data.startswith(b"\xff\xd8"):
        _check_jpeg(data)
    elif data.startswith(b"\x89PNG"):
        _check_png(data)
    elif data.startswith(b"GIF8"):
        find_gif_frame(data)
    elif data.startswith(_JPEG2000_SIGNATURES):
        _check_jpeg2000(data)
    elif data.startswith((b"P1", b"P2", b"P3")):
        _check_blocks(data.count(b"#"))  # for each comment, Pillow copies a mebibyte


def _check_jpeg(data: bytes) -> None:
    """Limit scans, each a pass over all pixels, and EXIF segments, each a copy of the earlier."""
    position, passes, segments = 2, 0, 0
    while match := _JPEG_SEGMENT.search(data, position):
        marker, position = match[1][0], match.end()
        if marker == 0xD9:
            if passes:
                return
            continue
        passes += marker == 0xDA or data.startswith(b"Exif", position + 2)
        segments += 1
        if passes > _MAX_SCANS:
            raise ImageReadError(f"the JPEG has more than {_MAX_SCANS} scans or EXIF segments")
        _check_blocks(segments)
        position += int.from_bytes(data[position : position + 2], "big")


def _check_png(data: bytes) -> None:
    position, blocks = 8, 0
    while (kind := data[position + 4 : position + 8]) not in (b"", b"IEND"):
        # Profiles count more, because each is inflated to up to a mebibyte.
        blocks += {b"IDAT": 0, b"fdAT": 0, b"iCCP": 100}.get(kind, 1)
        _check_blocks(blocks)
        position += 12 + int.from_bytes(data[position : position + 4], "big")


def find_gif_frame(data: bytes) -> int:
    """Return the offset behind the separator of a GIF's first image; the file's size if none.

    Raises:
        ImageReadError: more than 10,000 blocks precede it.
    """
    position, blocks = 13 + (6 << (data[10] & 7) if data[10] & 0x80 else 0), 0
    while (match := _GIF_BLOCK.search(data, position)) and match[0] == b"!":
        position = match.end() + 1
        while length := data[position]:
            position += 1 + length
            blocks += 1
            _check_blocks(blocks)
        position += 1
    return match.end() if match else len(data)


def _check_blocks(blocks: int) -> None:
    """Limit blocks: Pillow keeps up to a few hundred bytes for each, however short it is."""
    if blocks > _MAX_BLOCKS:
        raise ImageReadError(f"the file has more than {_MAX_BLOCKS} chunks, segments or comments")


def _check_jpeg2000(data: bytes) -> None:
    """Refuse tiny code-blocks and precincts, both of which may cover 4 pixels.

    OpenJPEG needs 300 bytes per code-block and 1.6 kB per precinct.
    """
    for match in _JPEG2000_STYLE.finditer(data):
        style, levels, width, height = match[1], match[2][0], match[3][0], match[4][0]
        plain_length = 12 if style[0] == 0x52 else 9
        if style[2] not in (plain_length, plain_length + 1 + levels):
            continue  # compressed pixels that look like a marker
        if width + height < 2:
            raise ImageReadError(
                "JPEG 2000 code-blocks of less than 64 pixels are not supported; encode it with "
                "larger ones"
            )
        end = match.end() + len(style) + 5
        precincts = data[end : end + levels + 1] if style[2] > plain_length else b""
        for halvings, size in enumerate(reversed(precincts)):
            if (size >> 4) + (size & 15) + 2 * halvings < 10:
                raise ImageReadError(
                    "JPEG 2000 precincts of less than 32 x 32 pixels are not supported; encode it "
                    "with larger ones"
                )
