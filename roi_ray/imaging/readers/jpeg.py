"""Read JPEG: 8 bits by Pillow; 12 bits, lossless JPEG and JPEG-LS by imagecodecs.

Clauses are those of ITU-T T.81 (ISO/IEC 10918-1).
"""

import re
from collections.abc import Iterable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np
from PIL import Image

from roi_ray.errors import ImageReadError, UnsupportedColour
from roi_ray.imaging.limits import check_pixel_count
from roi_ray.imaging.raster import Raster
from roi_ray.imaging.readers.pillow import read_orientation, read_pillow
from roi_ray.imaging.samples import Samples, scale

_MARKER = re.compile(rb"\xff([\xc0-\xcf\xda-\xef\xf7-\xfe])")
_APP0, _APP1, _APP2, _APP8, _APP14 = 0xE0, 0xE1, 0xE2, 0xE8, 0xEE
_SOS, _DHT, _JPG, _DAC = 0xDA, 0xC4, 0xC8, 0xCC
_EXTENDED, _LOSSLESS, _JPEG_LS = (0xC0, 0xC1, 0xC2), 0xC3, 0xF7
_FRAMES = (*set(range(0xC0, 0xD0)) - {_DHT, _JPG, _DAC}, _JPEG_LS)
_BY_PILLOW = (*_EXTENDED, 0xC9, 0xCA)
_REFUSED = {
    **dict.fromkeys((0xC5, 0xC6, 0xC7, 0xCD, 0xCE, 0xCF), "a hierarchical"),
    **dict.fromkeys((0xC9, 0xCA), "an arithmetic-coded"),
    0xCB: "an arithmetic-coded lossless",
}
"""Processes (table B.1) that are not read, at least above 8 bits."""

_HINT = "decode it to PNG with its codec's own decoder"
_COLOURS = {1: "grey", 3: "RGB", 4: "CMYK"}
_EXIF, _ICC, _SPIFF = b"Exif\0\0", b"ICC_PROFILE\0", b"SPIFF\0"
_SPIFF_COLOURS = (2, 8, 10)
"""Colour spaces of SPIFF (ITU-T T.84, F.2.1.1): unspecified, grey, RGB."""


class _Segment(NamedTuple):
    """A marker segment: the marker's second byte, its content, and where it ends in the file."""

    marker: int
    content: bytes
    end: int


class Frame(NamedTuple):
    """A frame header (B.2.2).

    Attributes:
        process: the marker's second byte, SOF0 to SOF55.
        bit_depth: bits per sample.
        height, width: pixels.
        components: number of components.
        has_rgb_names: whether the components are named R, G and B.
        is_subsampled: whether components have different sampling factors.
    """

    process: int
    bit_depth: int
    height: int
    width: int
    components: int
    has_rgb_names: bool
    is_subsampled: bool


def read_jpeg(data: bytes, max_pixels: int) -> Raster:
    """Read a JPEG or JPEG-LS image.

    Args:
        data: the file's content.
        max_pixels: largest width times height that is decoded.

    Returns:
        samples of the file's own depth; those of fewer than 8 bits are scaled to 8.

    Raises:
        ImageReadError: the file is damaged or truncated, or its process is not supported.
        ImageTooLarge: the image has more than `max_pixels` pixels.
        UnsupportedColour: CMYK of more than 8 bits.
    """
    header = list(_read_header(data))
    frame = _find_frame(header)
    check_pixel_count(frame.width, frame.height, max_pixels)
    if frame.bit_depth == 8 and frame.process in _BY_PILLOW and frame.components in _COLOURS:
        return read_pillow(data, max_pixels, formats=("JPEG",))
    _check_frame(frame)
    # The decoder fills what is missing with grey. Within a scan, 0xff is escaped.
    if data.find(b"\xff\xd9", header[-1].end) < 0:
        raise ImageReadError("cannot be decoded: the JPEG has no end marker; it is truncated")
    samples, depth = _decode(data, frame, header), frame.bit_depth
    if depth < 8:
        samples, depth = scale(samples, (1 << depth) - 1, 8), 8
    return Raster(
        samples,
        depth,
        icc_profile=_join_profile(header),
        orientation=_read_orientation(header),
    )


def _read_header(data: bytes) -> Iterator[_Segment]:
    """Yield the marker segments up to the header of the first scan."""
    position = 2
    while match := _MARKER.search(data, position):
        marker, start = match[1][0], match.end()
        position = start + max(2, int.from_bytes(data[start : start + 2]))
        yield _Segment(marker, data[start + 2 : position], position)
        if marker == _SOS:
            return


def read_frame(data: bytes) -> Frame:
    """Read the frame header of a JPEG: size and depth of what a decoder will give.

    Raises:
        ImageReadError: there is none, or it is damaged.
    """
    return _find_frame(_read_header(data))


def _find_frame(header: Iterable[_Segment]) -> Frame:
    for segment in header:
        if segment.marker in _FRAMES:
            return _parse_frame(segment)
    raise ImageReadError(
        "cannot be decoded: a JPEG without a frame header: truncated, or only tables"
    )


def _parse_frame(segment: _Segment) -> Frame:
    content = segment.content
    if len(content) < 6 or not all(content[:1] + content[5:6]):
        raise ImageReadError("cannot be decoded: a JPEG with a damaged frame header")
    height, width = int.from_bytes(content[1:3]), int.from_bytes(content[3:5])
    if not height or not width:
        raise ImageReadError(f"cannot be decoded: a JPEG of {width} x {height} pixels")
    names, factors = content[6::3], content[7::3]
    return Frame(
        process=segment.marker,
        bit_depth=content[0],
        height=height,
        width=width,
        components=content[5],
        has_rgb_names=names == b"RGB",
        is_subsampled=len(set(factors)) > 1,
    )


def _check_frame(frame: Frame) -> None:
    """Refuse what imagecodecs does not decode, by name.

    Raises:
        ImageReadError, UnsupportedColour: the frame is not supported.
    """
    colour = _COLOURS.get(frame.components, f"{frame.components}-component")
    if frame.process in _REFUSED:
        name = _REFUSED[frame.process]
        raise ImageReadError(f"{name} {frame.bit_depth}-bit JPEG is not supported; {_HINT}")
    if frame.components not in (1, 3):
        error = UnsupportedColour if frame.components == 4 else ImageReadError
        article = "an" if frame.bit_depth in (8, 11) else "a"
        raise error(f"{article} {frame.bit_depth}-bit {colour} JPEG is not supported; {_HINT}")
    depths = (8, 12) if frame.process in _EXTENDED else range(2, 17)
    if frame.bit_depth not in depths:
        raise ImageReadError(
            f"a JPEG of {frame.bit_depth} bits per sample is not supported; {_HINT}"
        )


def _decode(data: bytes, frame: Frame, header: list[_Segment]) -> Samples:
    """Decode by imagecodecs: (height, width, components), uint8 or uint16."""
    from imagecodecs import jpeg8_decode, jpegls_decode

    if frame.process == _LOSSLESS and frame.components == 3:
        _check_lossless_colour(frame, header)
    if frame.process == _JPEG_LS:
        for marker, content, _ in header:
            if marker == _APP8 and content.startswith(_SPIFF) and len(content) > 18:
                _check_spiff_colour(content[18])
        samples = jpegls_decode(data)
    else:
        samples = jpeg8_decode(data)
    if samples.dtype == np.uint16 and int(samples.max()) >> frame.bit_depth:
        raise ImageReadError(
            f"a JPEG of {frame.bit_depth} bits per sample with larger samples, as of a colour "
            f"transform that no JPEG decoder knows; {_HINT}"
        )
    expected = (frame.height, frame.width, frame.components)
    if samples.shape != expected[: samples.ndim] or samples.size != np.prod(expected):
        raise ImageReadError("cannot be decoded: a JPEG whose frame header contradicts its scans")
    return samples.reshape(expected)


def _check_lossless_colour(frame: Frame, header: list[_Segment]) -> None:
    """Refuse lossless colours that no marker states: both RGB and YCbCr are written without one."""
    is_stated = frame.has_rgb_names or any(
        (marker == _APP0 and content.startswith(b"JFIF\0"))
        or (marker == _APP14 and content.startswith(b"Adobe"))
        for marker, content, _ in header
    )
    if frame.is_subsampled or not is_stated:
        kind = "of subsampled chroma" if frame.is_subsampled else "that does not state its colours"
        raise UnsupportedColour(f"a lossless JPEG {kind} is not supported; {_HINT}")


def _check_spiff_colour(code: int) -> None:
    if code not in _SPIFF_COLOURS:
        raise UnsupportedColour(
            f"a JPEG-LS image of SPIFF colour space {code}; only grey and RGB are supported"
        )


def _join_profile(header: list[_Segment]) -> bytes | None:
    """Join the parts of an ICC profile (ICC.1, B.4); None if there is none or a part is missing."""
    contents = [content for marker, content, _ in header if marker == _APP2]
    contents = [part for part in contents if part.startswith(_ICC) and len(part) > 14]
    parts = {part[12]: part[14:] for part in contents}
    counts = {part[13] for part in contents}
    if len(counts) != 1 or sorted(parts) != list(range(1, counts.pop() + 1)):
        return None
    return b"".join(parts[number] for number in sorted(parts))


def _read_orientation(header: list[_Segment]) -> int:
    """Return the EXIF orientation, 1 to 8; 1 if the EXIF cannot be read."""
    for marker, content, _ in header:
        if marker == _APP1 and content.startswith(_EXIF):
            return read_orientation(partial(_parse_exif, content))
    return 1


def _parse_exif(content: bytes) -> Image.Exif:
    exif = Image.Exif()
    exif.load(content)
    return exif
