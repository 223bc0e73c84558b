"""The files that are sent to the service: PNG references, and JPEG, WebP and PNG images of each."""

import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from roi_ray.bench.workload import make_groups

_FORMATS = ("jpg", "webp", "png")
_WEBP_METHOD = 2  # fast; what counts is that it is a WebP file


@dataclass(frozen=True)
class SentImage:
    """A distorted image.

    Attributes:
        path: its file.
        scores: the numbers that the scorer computes for it, `Scores.to_dict()`.
    """

    path: str
    scores: dict[str, Any]


@dataclass(frozen=True)
class SentReference:
    """A reference and its distorted images.

    Attributes:
        path: PNG file of the reference.
        images: its distorted images, one third each of JPEG, WebP and PNG files.
    """

    path: str
    images: tuple[SentImage, ...]


def make_files(
    photographs: Sequence[Path], folder: Path, size: tuple[int, int], per_reference: int
) -> list[SentReference]:
    """Write the files; their scores are empty.

    Every PNG file has the pixels of a decoded JPEG file, as a codec's own decoder writes them.

    Args:
        photographs: image files; each makes one reference.
        folder: folder to write to.
        size: height and width in pixels.
        per_reference: distorted images per reference.

    Raises:
        UsageError: there are no photographs.
        ImageError: a photograph cannot be decoded.
    """
    groups = make_groups(photographs, folder, size, len(photographs), per_reference)
    return [
        SentReference(
            str(group.reference),
            tuple(
                SentImage(str(_convert(group.reference, path, _FORMATS[number % 3])), {})
                for number, path in enumerate(group.distorted)
            ),
        )
        for group in groups
    ]


def _convert(reference: Path, jpeg: Path, extension: str) -> Path:
    """Write a JPEG file's image in another format, next to it."""
    path = jpeg.with_suffix(f".{extension}")
    if extension == "png":
        with Image.open(jpeg) as image:
            image.save(path)
    elif extension == "webp":
        number = int(jpeg.stem.rpartition("-")[2])
        buffer = io.BytesIO()
        with Image.open(reference) as image:
            image.save(buffer, "WEBP", quality=min(95, 10 + 10 * number), method=_WEBP_METHOD)
        path.write_bytes(buffer.getvalue())
    return path


def write_files(references: Sequence[SentReference], path: Path) -> None:
    """Write the names of the files and their scores as JSON, for the clients."""
    path.write_text(json.dumps([asdict(reference) for reference in references]))


def read_files(path: Path) -> list[SentReference]:
    """Read what `write_files` wrote."""
    return [
        SentReference(entry["path"], tuple(SentImage(**image) for image in entry["images"]))
        for entry in json.loads(path.read_text())
    ]
