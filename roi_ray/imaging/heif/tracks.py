"""Read the first frame of a sequence of images from the tracks of an AVIF or HEIF file."""

from roi_ray.errors import ImageReadError
from roi_ray.imaging.boxes import Fields, first_of_each, read_boxes
from roi_ray.imaging.heif.items import Item

_VISUAL_ENTRY = 78
"""Bytes of a VisualSampleEntry before its boxes (ISO/IEC 14496-12, 12.1.3)."""


def read_first_frames(moov: bytes, data: bytes) -> tuple[Item, ...]:
    """Read the first frame of a sequence of images.

    Args:
        moov: content of the file's `moov` box.
        data: the whole file.

    Returns:
        the first frame of the first visual track, then those of the auxiliary tracks (alpha).

    Raises:
        ImageReadError: there is no visual track.
    """
    visual: list[Item] = []
    auxiliary: list[Item] = []
    for kind, trak in read_boxes(moov):
        frame = _read_first_frame(trak, data) if kind == b"trak" else None
        if frame:
            is_auxiliary = b"auxl" in first_of_each(read_boxes(_descend(trak, b"tref")))
            (auxiliary if is_auxiliary else visual).append(frame)
    if not visual:
        raise ImageReadError("cannot be decoded: its boxes describe no visual track (trak)")
    return visual[0], *auxiliary


def _read_first_frame(trak: bytes, data: bytes) -> Item | None:
    """Read the first sample of a track (8.5 to 8.7), or None if it is not of images."""
    table = first_of_each(read_boxes(_descend(trak, b"mdia", b"minf", b"stbl")))
    entries = read_boxes(table.get(b"stsd", b"")[8:])
    kind, entry = next(entries, (b"", b""))
    chunk, sample = table.get(b"stco", b""), Fields(table.get(b"stsz", b"")[4:])
    offset = Fields(chunk[8:] or table.get(b"co64", b"")[8:])
    header = _descend(trak, b"tkhd")
    if len(entry) < _VISUAL_ENTRY or len(header) < 8:
        return None
    # The size of a track is in units of 1 / 65536 pixel.
    size = bytes(4) + b"".join(b"\0\0" + header[at : at + 2] for at in (-8, -4))
    start = offset.number(4 if chunk else 8)
    length = sample.number(4) or (sample.number(4) and sample.number(4))
    properties = (b"ispe", size), *read_boxes(entry[_VISUAL_ENTRY:])
    return Item(kind, properties, data[start : start + length])


def _descend(content: bytes, *path: bytes) -> bytes:
    """Return the content of the first box along a path of types; empty if there is none."""
    for kind in path:
        content = first_of_each(read_boxes(content)).get(kind, b"")
    return content
