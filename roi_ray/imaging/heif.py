"""Read from an AVIF or HEIF file what its primary image is and how it is to be shown.

Only what concerns the primary image is read, and nothing is decoded. Sources: ISO/IEC 23008-12
(HEIF), ISO/IEC 14496-12 (its boxes) and the AV1 Image File Format.
"""

from collections import defaultdict
from dataclasses import dataclass
from typing import NamedTuple

from roi_ray.errors import ImageReadError
from roi_ray.imaging.isobmff import (
    Fields,
    Item,
    check_entries,
    first_of_each,
    read_boxes,
    read_first_frames,
)
from roi_ray.imaging.limits import check_pixel_count
from roi_ray.imaging.raster import Cicp

_ALPHA_TYPES = (
    b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0",
    b"urn:mpeg:hevc:2015:auxid:1\0",
    b"urn:mpeg:avc:2015:auxid:1\0",
)
_MIN_TILE_LIMIT = 1 << 20
"""Tiles of this many pixels are accepted even if `max_pixels` is smaller."""

_MAX_TILING = 4
"""The tiles of a grid extend beyond its right and bottom edge, by less than a tile each."""


@dataclass(frozen=True)
class Still:
    """The image that a file shows.

    Attributes:
        primary: the primary item, or the first frame of a sequence.
        parts: every item that is decoded for it: the primary item first, then the tiles of a grid
            and the items of the alpha channel.
        is_premultiplied: whether the colours are premultiplied by alpha.
        is_sequence: whether it is a frame of a track.
    """

    primary: Item
    parts: tuple[Item, ...]
    is_premultiplied: bool = False
    is_sequence: bool = False


def read_still(data: bytes, with_tracks: bool = True) -> Still:
    """Read what the image of a file is.

    Args:
        data: content of an AVIF or HEIF file.
        with_tracks: whether the first frame of a sequence goes before the primary item, as in
            libavif, in files whose major brand is not `avif`.

    Raises:
        ImageReadError: the boxes are damaged, or do not describe an image.
    """
    boxes = first_of_each(read_boxes(data))
    if with_tracks and b"moov" in boxes and boxes.get(b"ftyp", b"")[:4] != b"avif":
        frames = read_first_frames(boxes[b"moov"], data)
        return Still(frames[0], frames, is_sequence=True)
    if b"meta" not in boxes and b"moov" in boxes:
        raise ImageReadError(
            "a sequence of images without a still image; extract its first frame as PNG, e.g. "
            "`ffmpeg -i FILE -frames:v 1 -pix_fmt rgb48be frame.png`"
        )
    if b"meta" not in boxes:
        raise ImageReadError("cannot be decoded: its boxes describe no image (meta)")
    return _Items(boxes[b"meta"], data).read_still()


class Colours(NamedTuple):
    """How boxes signal colours; a file may have both CICP and a profile.

    Attributes:
        cicp: primaries and transfer of `nclx`, or None.
        matrix: MatrixCoefficients of `nclx` (ITU-T H.273), or None.
        icc_profile: the ICC profile, or None.
    """

    cicp: Cicp | None
    matrix: int | None
    icc_profile: bytes | None


def read_colours(still: Still) -> Colours:
    """Read the colours of an image (`colr`); a grid without has those of its first tile."""
    items = (still.primary, still.parts[1]) if is_derived(still) else (still.primary,)
    for item in items:
        cicp = matrix = profile = None
        for kind, content in item.properties:
            method = content[:4] if kind == b"colr" else b""
            if method == b"nclx" and cicp is None:
                fields = Fields(content[4:])
                cicp, matrix = Cicp(fields.number(2), fields.number(2)), fields.number(2)
            elif method in (b"prof", b"rICC") and profile is None:
                profile = content[4:]
        if cicp or profile:
            return Colours(cicp, matrix, profile)
    return Colours(None, None, None)


def is_derived(still: Still) -> bool:
    """Return whether the image is made of other items, such as the tiles of a grid."""
    return still.primary.kind in (b"grid", b"iden", b"iovl") and len(still.parts) > 1


def check_sizes(still: Still, max_pixels: int) -> None:
    """Check the size of the image and of its parts, as the boxes give it.

    Raises:
        ImageReadError: a size is missing.
        ImageTooLarge: the image, or its tiles together, have too many pixels.
    """
    check_pixel_count(*still.primary.size, max_pixels)
    limit = max(max_pixels, _MIN_TILE_LIMIT)
    for part in still.parts:
        if part.kind == b"grid" and len(still.parts) > 1:
            # ISO/IEC 23008-12, 6.6.2.3.
            fields = Fields(part.data)
            fields.number(1)
            size = 4 if fields.number(1) & 1 else 2
            rows, columns = fields.number(1) + 1, fields.number(1) + 1
            check_pixel_count(fields.number(size), fields.number(size), max_pixels)
            width, height = still.parts[1].size
            check_pixel_count(width * columns, height * rows, _MAX_TILING * limit)
        elif part.get(b"ispe"):
            check_pixel_count(*part.size, limit)


def rename_exif(data: bytes) -> bytes:
    """Rename the EXIF items of a file, so that its decoder does not fail on unreadable EXIF."""
    meta = first_of_each(read_boxes(data)).get(b"meta", b"")
    table = first_of_each(read_boxes(meta[4:])).get(b"iinf", b"")
    return data.replace(table, table.replace(b"Exif", b"free"), 1) if b"Exif" in table else data


class _Items:
    """The items of a file's `meta` box (ISO/IEC 14496-12, 8.11)."""

    def __init__(self, meta: bytes, data: bytes) -> None:
        boxes = first_of_each(read_boxes(meta[4:]))
        self._sources = data, boxes.get(b"idat", b"")
        self._payloads: dict[tuple[int, tuple[tuple[int, int], ...]], bytes] = {}
        self._primary_id = _read_primary_id(boxes.get(b"pitm", b""))
        self._kinds = _read_kinds(boxes.get(b"iinf", b""))
        self._references = _read_references(boxes.get(b"iref", bytes(4)))
        self._locations = _read_locations(boxes.get(b"iloc", b""))
        self._properties = _read_properties(boxes.get(b"iprp", b""))

    def read_still(self) -> Still:
        """Follow the references from the primary item to all items that are decoded for it."""
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
        parts = tuple(self._read_item(item_id) for item_id in found)
        is_premultiplied = any(
            kind == b"prem" and item_id == self._primary_id for kind, item_id, _ in self._references
        )
        return Still(parts[0], parts, is_premultiplied)

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
