"""What is measured on: photographs of a size, and JPEG files of each at many qualities."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from roi_ray.errors import RoiRayError
from roi_ray.imaging.pixels import Pixels
from roi_ray.training.files import read_image


@dataclass(frozen=True)
class Group:
    """A reference and what was decoded from it: a PNG and any number of JPEG files."""

    reference: Path
    distorted: tuple[Path, ...]


def make_groups(
    photographs: Sequence[Path], folder: Path, size: tuple[int, int], references: int, each: int
) -> list[Group]:
    """Write the files of some groups.

    Args:
        photographs: image files; a smaller one is repeated, mirrored, until it fills the size.
        folder: for the files.
        size: height and width in pixels.
        references: groups; photographs are used again, shifted, where there are fewer.
        each: distorted images of a reference, at JPEG qualities spread over 5..95.

    Raises:
        RoiRayError: there are no photographs.
        ImageError: one cannot be decoded; begins with its path.
    """
    if not photographs:
        raise RoiRayError("there are no photographs to measure on")
    folder.mkdir(parents=True, exist_ok=True)
    decoded = [read_image(str(path)) for path in photographs[:references]]
    qualities = np.linspace(5, 95, each).round().astype(int).tolist()
    groups = []
    for index in range(references):
        pixels = _fill(decoded[index % len(decoded)], size, shift=31 * (index // len(decoded)))
        reference = folder / f"{index}.png"
        reference.write_bytes(_encode(pixels, "PNG"))
        distorted = []
        for number, quality in enumerate(qualities):
            path = folder / f"{index}-{number}.jpg"
            path.write_bytes(_encode(pixels, "JPEG", quality=quality))
            distorted.append(path)
        groups.append(Group(reference, tuple(distorted)))
    return groups


def _fill(pixels: Pixels, size: tuple[int, int], shift: int) -> Pixels:
    rows, columns = (max(0, size[axis] + shift - pixels.shape[axis]) for axis in (0, 1))
    filled = np.pad(pixels, [(0, rows), (0, columns), (0, 0)], mode="symmetric")
    return filled[shift : shift + size[0], shift : shift + size[1]]


def _encode(pixels: Pixels, file_format: str, **options: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, file_format, **options)
    return buffer.getvalue()
