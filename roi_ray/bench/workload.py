"""The images of a benchmark: photographs of one size, and JPEG files of each at many qualities."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from roi_ray import schema
from roi_ray.errors import UsageError
from roi_ray.imaging.decode import decode_image
from roi_ray.imaging.pixels import Pixels8, to_8_bits
from roi_ray.training.files import read_image

_MAX_MIRRORED = 2
"""Height or width, in those of a photograph, up to which it is extended by mirrored copies."""

ReadImage = Callable[[Path], Pixels8]
"""Reads and decodes an image file."""


@dataclass(frozen=True)
class Group:
    """A reference and its distorted images.

    Attributes:
        reference: PNG file.
        distorted: JPEG files of the same image, from the lowest quality to the highest.
    """

    reference: Path
    distorted: tuple[Path, ...]


def make_groups(
    photographs: Sequence[Path],
    folder: Path,
    size: tuple[int, int],
    references: int,
    per_reference: int,
) -> list[Group]:
    """Write the image files of a workload.

    Args:
        photographs: image files. A photograph smaller than `size` is extended by mirrored copies;
            one of less than half of its height or width is enlarged first, so that it covers it.
        folder: folder to write to.
        size: height and width in pixels.
        references: number of groups. If it exceeds the photographs, they are used again, shifted.
        per_reference: distorted images per reference, at JPEG qualities spread over 5..95.

    Raises:
        UsageError: there are no photographs.
        ImageError: a photograph cannot be decoded; the message begins with its path.
    """
    if not photographs:
        raise UsageError("there are no photographs to measure on")
    folder.mkdir(parents=True, exist_ok=True)
    decoded = [read_image(str(path)) for path in photographs[:references]]
    qualities = np.linspace(5, 95, per_reference).round().astype(int).tolist()
    groups = []
    for index in range(references):
        photograph = _enlarge(decoded[index % len(decoded)], size)
        pixels = _crop_mirrored(photograph, size, shift=31 * (index // len(decoded)))
        reference = folder / f"{index}.png"
        reference.write_bytes(_encode(pixels, "PNG"))
        distorted = []
        for number, quality in enumerate(qualities):
            path = folder / f"{index}-{number}.jpg"
            path.write_bytes(_encode(pixels, "JPEG", quality=quality))
            distorted.append(path)
        groups.append(Group(reference, tuple(distorted)))
    return groups


def write_manifest(groups: Sequence[Group], path: Path) -> None:
    """Write the pairs of some groups as a manifest, a Parquet file."""
    pairs = [(str(g.reference), str(image)) for g in groups for image in g.distorted]
    columns = dict(zip(schema.URIS, map(list, zip(*pairs, strict=True)), strict=True))
    pq.write_table(pa.table(columns), path)


def read_file(path: Path) -> Pixels8:
    """Read and decode an image file; more than 8 bits per sample are rounded to 8."""
    return to_8_bits(decode_image(path.read_bytes()))


def _enlarge(pixels: Pixels8, size: tuple[int, int]) -> Pixels8:
    """Enlarge a photograph that is far smaller than `size` until it covers it."""
    height, width = pixels.shape[:2]
    factor = max(size[0] / height, size[1] / width)
    if factor <= _MAX_MIRRORED:
        return pixels
    enlarged = (ceil(width * factor), ceil(height * factor))
    return np.asarray(Image.fromarray(pixels).resize(enlarged, Image.Resampling.LANCZOS))


def _crop_mirrored(pixels: Pixels8, size: tuple[int, int], shift: int) -> Pixels8:
    """Crop to `size`, `shift` pixels from the upper left corner; mirror what lies outside."""
    rows, columns = (max(0, size[axis] + shift - pixels.shape[axis]) for axis in (0, 1))
    filled = np.pad(pixels, [(0, rows), (0, columns), (0, 0)], mode="symmetric")
    return filled[shift : shift + size[0], shift : shift + size[1]]


def _encode(pixels: Pixels8, file_format: str, **options: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, file_format, **options)
    return buffer.getvalue()
