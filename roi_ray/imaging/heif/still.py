"""Read from an AVIF or HEIF file what its primary image is and how it is to be shown.

Only what concerns the primary image is read, and nothing is decoded. Sources: ISO/IEC 23008-12
(HEIF), ISO/IEC 14496-12 (its boxes) and the AV1 Image File Format.
"""

from dataclasses import dataclass
from typing import NamedTuple

from roi_ray.errors import ImageReadError
from roi_ray.imaging.boxes import Fields, first_of_each, read_boxes
from roi_ray.imaging.heif.items import Item, Items
from roi_ray.imaging.heif.tracks import read_first_frames
from roi_ray.imaging.limits import check_pixel_count, check_tiles
from roi_ray.imaging.raster import Cicp
from roi_ray.imaging.samples import Samples


@dataclass(frozen=True)
class Still:
    """The image that a file shows.

    Attributes:
        primary: the primary item, or the first frame of a sequence.
        parts: every item that is decoded for it: the primary item first, then the tiles of a grid
            and the items of the alpha channel.
        is_sequence: whether it is a frame of a track.
    """

    primary: Item
    parts: tuple[Item, ...]
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
    parts = Items(boxes[b"meta"], data).read_parts()
    return Still(parts[0], parts)


class Colours(NamedTuple):
    """How boxes signal colours; a file may have both CICP and a profile.

    Attributes:
        cicp: primaries and transfer of `nclx`, or None.
        matrix: MatrixCoefficients of `nclx` (ITU-T H.273), or None.
        is_full_range: whether black is 0 by `nclx`, or else 16 (at 8 bits); None without `nclx`.
        icc_profile: the ICC profile, or None.
    """

    cicp: Cicp | None = None
    matrix: int | None = None
    is_full_range: bool | None = None
    icc_profile: bytes | None = None


def read_colours(still: Still) -> Colours:
    """Read the colours of an image (`colr`); a grid without has those of its first tile."""
    items = (still.primary, still.parts[1]) if is_derived(still) else (still.primary,)
    for item in items:
        cicp = matrix = is_full_range = profile = None
        for kind, content in item.properties:
            method = content[:4] if kind == b"colr" else b""
            if method == b"nclx" and cicp is None:
                fields = Fields(content[4:])
                cicp, matrix = Cicp(fields.number(2), fields.number(2)), fields.number(2)
                is_full_range = fields.number(1) >= 128
            elif method in (b"prof", b"rICC") and profile is None:
                profile = content[4:]
        if cicp or profile:
            return Colours(cicp, matrix, is_full_range, profile)
    return Colours()


def match_profile(samples: Samples, profile: bytes | None) -> Samples:
    """Repeat grey samples three times if their profile is of RGB, as encoders write monochrome."""
    if profile is None or profile[16:20] != b"RGB " or samples.shape[2] > 2:
        return samples
    return samples[..., [0, 0, 0, 1][: samples.shape[2] + 2]]


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
    for part in still.parts:
        if part.kind == b"grid" and len(still.parts) > 1:
            # ISO/IEC 23008-12, 6.6.2.3.
            fields = Fields(part.data)
            fields.number(1)
            size = 4 if fields.number(1) & 1 else 2
            rows, columns = fields.number(1) + 1, fields.number(1) + 1
            check_pixel_count(fields.number(size), fields.number(size), max_pixels)
            check_tiles(*still.parts[1].size, columns * rows, max_pixels)
        elif part.get(b"ispe"):
            check_tiles(*part.size, 1, max_pixels)


def rename_exif(data: bytes) -> bytes:
    """Rename the EXIF items of a file, so that its decoder does not fail on unreadable EXIF."""
    meta = first_of_each(read_boxes(data)).get(b"meta", b"")
    table = first_of_each(read_boxes(meta[4:])).get(b"iinf", b"")
    return data.replace(table, table.replace(b"Exif", b"free"), 1) if b"Exif" in table else data
