"""Read the items of an AVIF or HEIF file: which there are, where, and how they belong together.

Sources: ISO/IEC 14496-12 (the boxes) and ISO/IEC 23008-12 (HEIF).
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from roi_ray.errors import ImageReadError
from roi_ray.imaging.boxes import Fields, check_entries, first_of_each, read_boxes

_ALPHA_TYPES = (
    b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0",
    b"urn:mpeg:hevc:2015:auxid:1\0",
    b"urn:mpeg:avc:2015:auxid:1\0",
)


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


class Items:
    """The items of a file.

    Args:
        meta: content of the file's `meta` box (ISO/IEC 14496-12, 8.11).
        data: the whole file.

    Raises:
        ImageReadError: the boxes are damaged.
    """

    def __init__(self, meta: bytes, data: bytes) -> None:
        boxes = first_of_each(read_boxes(meta[4:]))
        self._sources = data, boxes.get(b"idat", b"")
        self._payloads: dict[tuple[int, tuple[tuple[int, int], ...]], bytes] = {}
        self._primary_id = _read_primary_id(boxes.get(b"pitm", b""))
        self._kinds = _read_kinds(boxes.get(b"iinf", b""))
        self._references = _read_references(boxes.get(b"iref", bytes(4)))
        self._locations = _read_locations(boxes.get(b"iloc", b""))
        self._properties = _read_properties(boxes.get(b"iprp", b""))

    def read_parts(self) -> tuple[Item, ...]:
        """Follow the references from the primary item to all items that are decoded for it.

        Returns:
            the primary item, then the tiles of a grid and the items of the alpha channel.

        Raises:
            ImageReadError: there is no primary item, or an item is truncated.
        """
        if self._primary_id not in self._kinds:
            raise ImageReadError(
                "cannot be decoded: its boxes describe no primary image (pitm, iinf)"
            )
        tiles, alphas = defaultdict[int, list[int]](list), defaultdict[int, list[int]](list)
        for kind, item_id, targets in self._references:
            if kind == b"dimg":
                tiles[item_id] += targets
            elif kind == b"auxl" and self._is_alpha(item_id):
                for target in targets:
                    alphas[target].append(item_id)
        found: dict[int, None] = {}
        pending = [self._primary_id]
        while pending:
            item_id = pending.pop()
            if item_id in self._kinds and item_id not in found:
                found[item_id] = None
                pending += alphas[item_id] + tiles[item_id][::-1]
        return tuple(self._read_item(item_id) for item_id in found)

    def _is_alpha(self, item_id: int) -> bool:
        properties = self._properties.get(item_id, [])
        return any(
            kind == b"auxC" and content[4:].startswith(_ALPHA_TYPES) for kind, content in properties
        )

    def _read_item(self, item_id: int) -> Item:
        """Collect an item; items at the same place share their payload, as encoders write them."""
        location = self._locations.get(item_id, (0, ()))
        if location not in self._payloads:
            source = self._sources[location[0]]
            if any(start + size > len(source) for start, size in location[1]):
                raise ImageReadError("cannot be decoded: its pixels end early (truncated)")
            chunks = [source[start : start + size if size else None] for start, size in location[1]]
            self._payloads[location] = b"".join(chunks)
            if sum(map(len, self._payloads.values())) > sum(map(len, self._sources)):
                raise ImageReadError("cannot be decoded: parts of its items overlap")
        properties = self._properties.get(item_id, [])
        return Item(self._kinds[item_id], properties, self._payloads[location])


def _read_primary_id(pitm: bytes) -> int:
    fields = Fields(pitm)
    version, _ = fields.version_and_flags()
    return fields.number(4 if version else 2)


def _read_kinds(iinf: bytes) -> dict[int, bytes]:
    """Read the type of each item (8.11.6)."""
    fields = Fields(iinf)
    version, _ = fields.version_and_flags()
    fields.number(4 if version else 2)
    kinds = {}
    for kind, content in read_boxes(fields.rest()):
        entry = Fields(content)
        version, _ = entry.version_and_flags()
        if kind == b"infe" and version >= 2:
            item_id, _ = entry.number(4 if version > 2 else 2), entry.number(2)
            kinds[item_id] = entry.take(4)
    return kinds


def _read_references(iref: bytes) -> list[tuple[bytes, int, list[int]]]:
    """Read the type, source and targets of each reference between items (8.11.12)."""
    fields, references = Fields(iref), []
    version, _ = fields.version_and_flags()
    size, total = 4 if version else 2, 0
    for kind, content in read_boxes(fields.rest()):
        entry = Fields(content)
        item_id = entry.number(size)
        targets = [entry.number(size) for _ in entry.entries(2)]
        check_entries(total := total + len(targets))
        references.append((kind, item_id, targets))
    return references


def _read_locations(iloc: bytes) -> dict[int, tuple[int, tuple[tuple[int, int], ...]]]:
    """Read where each item is: whether in `idat`, and offset and size of each part (8.11.3)."""
    fields, locations, total = Fields(iloc), {}, 0
    version, _ = fields.version_and_flags()
    sizes = fields.number(2)
    offset_size, length_size, base_size = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15
    index_size = sizes & 15 if version else 0
    for _ in fields.entries(4 if version > 1 else 2):
        item_id = fields.number(4 if version > 1 else 2)
        method = fields.number(2) & 15 if version else 0
        fields.number(2)  # data_reference_index
        base, extents = fields.number(base_size), []
        for _ in fields.entries(2):
            fields.number(index_size)
            start = base + fields.number(offset_size)
            extents.append((start, fields.number(length_size)))  # 0: up to the end
        check_entries(total := total + len(extents))
        if method < 2:
            locations[item_id] = method, tuple(extents)
    return locations


def _read_properties(iprp: bytes) -> dict[int, list[tuple[bytes, bytes]]]:
    """Read the properties of each item (ISO/IEC 23008-12, 9.3)."""
    boxes = list(read_boxes(iprp))
    properties = [box for kind, content in boxes if kind == b"ipco" for box in read_boxes(content)]
    by_item, total = defaultdict[int, list[tuple[bytes, bytes]]](list), 0
    for content in (content for kind, content in boxes if kind == b"ipma"):
        fields = Fields(content)
        version, flags = fields.version_and_flags()
        for _ in fields.entries(4):
            item_id = fields.number(4 if version else 2)
            indices = [
                fields.number(2) & 0x7FFF if flags & 1 else fields.number(1) & 0x7F
                for _ in fields.entries(1)
            ]
            check_entries(total := total + len(indices))
            by_item[item_id] += [properties[i - 1] for i in indices if 0 < i <= len(properties)]
    return by_item
