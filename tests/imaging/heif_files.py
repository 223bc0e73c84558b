"""AVIF and HEIF files for tests: encoded by `avifenc`, or assembled from boxes.

`assemble` makes a file of any items, properties and references around compressed data, so that a
test states exactly what its file says.
"""

import os
import shutil
import struct
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

Property = tuple[bytes, bytes]

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
"""An ICC profile."""


def require_tool(name: str) -> str:
    """Return the path of a command; without it, skip the test, or fail it in CI."""
    path = shutil.which(name)
    if path is None:
        message = f"{name} is not installed; .ci/run names the Debian packages"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return path


def run_tool(name: str, *arguments: object) -> str:
    """Run a command and return what it prints."""
    command = [require_tool(name), *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def avifenc(folder: Path, samples: NDArray[np.uint8 | np.uint16], *options: object) -> bytes:
    """Encode samples of 8 or 16 bits by `avifenc`."""
    source, target = folder / "source.png", folder / "encoded.avif"
    source.write_bytes(imagecodecs.png_encode(np.ascontiguousarray(samples)))
    run_tool("avifenc", "-s", 10, *options, source, target)
    return target.read_bytes()


def avifdec(folder: Path, data: bytes, bits: int) -> NDArray[np.uint8 | np.uint16]:
    """Decode a file by `avifdec` to RGB or RGBA of 8 or 16 bits."""
    source, target = folder / "file.avif", folder / "decoded.png"
    source.write_bytes(data)
    run_tool("avifdec", "-d", bits, source, target)
    return imagecodecs.png_decode(target.read_bytes())


def box(kind: bytes, *contents: bytes) -> bytes:
    content = b"".join(contents)
    return struct.pack(">L", 8 + len(content)) + kind + content


def full_box(kind: bytes, *contents: bytes, version: int = 0, flags: int = 0) -> bytes:
    return box(kind, struct.pack(">L", version << 24 | flags), *contents)


def ispe(width: int, height: int) -> Property:
    return b"ispe", struct.pack(">LLL", 0, width, height)


def nclx(primaries: int, transfer: int, matrix: int, full_range: bool = True) -> Property:
    return b"colr", b"nclx" + struct.pack(">HHHB", primaries, transfer, matrix, full_range << 7)


def icc(profile: bytes) -> Property:
    return b"colr", b"prof" + profile


def irot(quarters: int) -> Property:
    return b"irot", bytes([quarters])


def imir(axis: int) -> Property:
    return b"imir", bytes([axis])


def clap(
    width: int, height: int, x: int = 0, y: int = 0, denominators: Sequence[int] = (1, 1, 1, 1)
) -> Property:
    """A clean aperture; x and y move its centre from the image's."""
    a, b, c, d = denominators
    return b"clap", struct.pack(">LLLLlLlL", width, a, height, b, x, c, y, d)


@dataclass
class Part:
    """An item of a file that `assemble` makes; `references` are (type, numbers of items from 1)."""

    kind: bytes
    data: bytes
    properties: Sequence[Property] = ()
    references: Sequence[tuple[bytes, Sequence[int]]] = field(default=())


def exif(orientation: int) -> Part:
    """An item of EXIF about the first item."""
    block = Image.Exif()
    block[0x0112] = orientation
    return Part(b"Exif", b"\0\0\0\6" + block.tobytes(), references=[(b"cdsc", [1])])


def assemble(*parts: Part, brands: Sequence[bytes] = (b"avif", b"mif1", b"miaf")) -> bytes:
    """Make a file whose first part is the primary item."""
    ftyp = box(b"ftyp", brands[0], bytes(4), *brands)
    infe, ipco, ipma, iref = [], [], [], []
    for number, part in enumerate(parts, 1):
        infe.append(full_box(b"infe", struct.pack(">HH", number, 0), part.kind, b"\0", version=2))
        indices = range(len(ipco) + 1, len(ipco) + 1 + len(part.properties))
        ipco += [box(kind, content) for kind, content in part.properties]
        ipma.append(struct.pack(">HB", number, len(indices)) + bytes(0x80 | i for i in indices))
        for kind, targets in part.references:
            numbers = struct.pack(f">HH{len(targets)}H", number, len(targets), *targets)
            iref.append(box(kind, numbers))
    head = (
        full_box(b"hdlr", bytes(4), b"pict", bytes(13)),
        full_box(b"pitm", struct.pack(">H", 1)),
        full_box(b"iinf", struct.pack(">H", len(infe)), *infe),
        full_box(b"iref", *iref),
        box(
            b"iprp",
            box(b"ipco", *ipco),
            full_box(b"ipma", struct.pack(">L", len(ipma)), *ipma),
        ),
    )

    def locate(start: int) -> bytes:
        places = b""
        for number, part in enumerate(parts, 1):
            places += struct.pack(">HHHLL", number, 0, 1, start, len(part.data))
            start += len(part.data)
        return full_box(b"iloc", b"\x44\0", struct.pack(">H", len(parts)), places)

    length = len(full_box(b"meta", *head, locate(0)))
    meta = full_box(b"meta", *head, locate(len(ftyp) + length + 8))
    return ftyp + meta + box(b"mdat", *(part.data for part in parts))
