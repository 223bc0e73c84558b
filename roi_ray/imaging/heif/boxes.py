"""Read the boxes of ISO base media files (ISO/IEC 14496-12), in which AVIF and HEIF store images.

Nothing is decoded, and the work is bounded whatever the bytes are.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from roi_ray.errors import ImageReadError

_MAX_ENTRIES = 10_000
"""Boxes and entries of tables that are read; a photograph of 48 megapixels has about 200 items."""

_VISUAL_ENTRY = 78
"""Bytes of a VisualSampleEntry before its boxes (12.1.3)."""


@dataclass(frozen=True)
class Item:
    """An image, or a part of one.

    Attributes:
        kind: type of the item, such as b"av01", b"hvc1", b"grid".
        properties: type and content of each property, in the order in which they apply.
        data: compressed pixels, or the description of a derived image.
    """

    kind: bytes
    properties: Sequence[tuple[bytes, bytes]]
    data: bytes

    def get(self, kind: bytes) -> bytes:
        """Return the content of the first property of a type; empty if there is none."""
        return next((content for name, content in self.properties if name == kind), b"")

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels, before cropping and rotation (`ispe`).

        Raises:
            ImageReadError: the item has no size.
        """
        fields = Fields(self.get(b"ispe")[4:])
        return fields.number(4), fields.number(4)


class Fields:
    """Reads the fields of a box one after the other.

    Raises:
        ImageReadError: the box ends before.
    """

    def __init__(self, content: bytes) -> None:
        self._content, self._position = content, 0

    def number(self, size: int) -> int:
        """Read an unsigned big-endian number of `size` bytes."""
        return int.from_bytes(self.take(size))

    def take(self, size: int) -> bytes:
        """Read bytes."""
        start, self._position = self._position, self._position + size
        if self._position > len(self._content):
            raise ImageReadError(
                "cannot be decoded: one of its boxes ends early; is the file truncated?"
            )
        return self._content[start : self._position]

    def version_and_flags(self) -> tuple[int, int]:
        """Read the head of a FullBox (4.2.2)."""
        return self.number(1), self.number(3)

    def entries(self, size: int) -> range:
        """Read the number of entries of a table, and return a range over them."""
        count = self.number(size)
        check_entries(count)
        return range(count)

    def rest(self) -> bytes:
        """Return all bytes that are not yet read."""
        return self._content[self._position :]


def check_entries(count: int) -> None:
    """Refuse a table of so many entries that no image needs them."""
    if count > _MAX_ENTRIES:
        raise ImageReadError(f"its boxes have more than {_MAX_ENTRIES} entries")


def read_boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the type and content of each box (4.2); the last may be truncated.

    Raises:
        ImageReadError: there are more than 10,000 boxes.
    """
    position, count = 0, 0
    while len(kind := data[position + 4 : position + 8]) == 4:
        length, start = int.from_bytes(data[position : position + 4]), position + 8
        if length == 1:
            length, start = int.from_bytes(data[start : start + 8]), start + 8
        end = position + length if length else len(data)
        if end < start:
            return
        count += 1
        check_entries(count)
        yield kind, data[start:end]
        position = end


def first_of_each(boxes: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Return the content of the first box of each type."""
    contents: dict[bytes, bytes] = {}
    for kind, content in boxes:
        contents.setdefault(kind, content)
    return contents


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
