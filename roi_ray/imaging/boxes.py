"""Read the boxes of ISO base media files (ISO/IEC 14496-12): AVIF and HEIF, and also JP2.

Nothing is decoded, and the work is bounded whatever the bytes are.
"""

from collections.abc import Iterable, Iterator

from roi_ray.errors import ImageReadError

_MAX_ENTRIES = 10_000
"""Boxes and entries of tables that are read; a photograph of 48 megapixels has about 200 items."""


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
