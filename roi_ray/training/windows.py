"""Originals, what was decoded from them, and random windows of both, for training D."""

import hashlib
import random
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from roi_ray import schema
from roi_ray.errors import ManifestError, NotAllowed
from roi_ray.io import storage
from roi_ray.io.allowlist import build_allowlist
from roi_ray.io.manifest import Manifest
from roi_ray.training.files import read_image_tensor

CROP = 128
_READERS = 8


@dataclass(frozen=True)
class Decoded:
    """A decoded image; codec and bits per pixel where the manifest says them."""

    uri: str
    codec: str | None
    bpp: float | None


@dataclass(frozen=True)
class Original:
    """An original with everything that was decoded from it; `name` as it is first spelled."""

    name: str
    uri: str
    decoded: tuple[Decoded, ...]


def read_originals(manifest: Manifest, allowed: Sequence[str] = ()) -> list[Original]:
    """A manifest's rows, gathered by reference, in the order of the references' first rows.

    Args:
        manifest: from `read_manifest`.
        allowed: folders that images may be in, besides the manifest's own.

    Raises:
        ManifestError: an image is elsewhere, or a bit rate is no number.
    """
    allowlist = build_allowlist(manifest.base, allowed)

    def resolved(written: str) -> str:
        uri = storage.resolve(written, manifest.base)
        try:
            allowlist.check(uri)
        except NotAllowed as error:
            raise ManifestError(f"manifest {manifest.uri}: {written} is {error}") from error
        return uri

    def bit_rate(row: Mapping[str, Any]) -> float | None:
        bpp = row.get(schema.BPP)
        try:
            return None if bpp is None else float(bpp)
        except (TypeError, ValueError) as error:
            text = f"{schema.BPP!r} of {row[schema.DISTORTED]} is no number: {bpp!r}"
            raise ManifestError(f"manifest {manifest.uri}: {text}") from error

    # By the file: one image may be spelled in two ways.
    gathered: dict[str, tuple[str, list[Decoded]]] = {}
    for row in manifest.table.to_pylist():
        codec = row.get(schema.CODEC)
        named = None if codec is None else str(codec)
        decoded = Decoded(resolved(row[schema.DISTORTED]), named, bit_rate(row))
        name = row[schema.REFERENCE]
        gathered.setdefault(storage.normalize(resolved(name)), (name, []))[1].append(decoded)
    return [Original(name, uri, tuple(of)) for uri, (name, of) in gathered.items()]


def hash_image_files(originals: Sequence[Original]) -> str:
    """What tells images from others of the same names: SHA-256 of their places and sizes."""
    uris = [uri for each in originals for uri in (each.uri, *(d.uri for d in each.decoded))]
    sizes = {folder: storage.file_sizes(folder) for folder in set(map(storage.parent, uris))}
    found = hashlib.sha256()
    for uri in uris:
        size = sizes[storage.parent(uri)].get(uri.rpartition("/")[2])
        found.update(f"{uri} {size}\n".encode())
    return found.hexdigest()


@dataclass(frozen=True)
class Windows:
    """The same windows of originals and of two images decoded from each.

    Attributes:
        real: of the originals, float (N, 3, 128, 128) in [0, 1].
        better: of the decoded image that is nearer to its original there, by squared error.
        worse: of the other one; the same where there is only one.
    """

    real: Tensor
    better: Tensor
    worse: Tensor


def draw_windows(originals: Sequence[Original], crops: int, draws: Sequence[str]) -> Windows:
    """Draw an original, two images that one codec decoded from it, and windows, for each seed.

    Args:
        originals: what is drawn from.
        crops: windows of each.
        draws: one seed an original drawn; the same seed draws the same windows.

    Raises:
        ManifestError: an image is smaller than a window, or not of its reference's size.
        ImageError, StorageError: an image cannot be read.
    """
    with ThreadPoolExecutor(_READERS) as readers:
        drawn = list(readers.map(lambda seed: _draw(originals, crops, random.Random(seed)), draws))
    real, one, other = (torch.cat(side).float() / 255 for side in zip(*drawn, strict=True))
    errors = [(side - real).square().mean((1, 2, 3), keepdim=True) for side in (one, other)]
    first = errors[0] <= errors[1]
    return Windows(real, torch.where(first, one, other), torch.where(first, other, one))


def _draw(
    originals: Sequence[Original], crops: int, draw: random.Random
) -> tuple[Tensor, Tensor, Tensor]:
    original = draw.choice(originals)
    one = draw.choice(original.decoded)
    rivals = [other for other in original.decoded if other.codec == one.codec and other is not one]
    other = draw.choice(rivals) if rivals else one
    real = read_image_tensor(original.uri)
    height, width = real.shape[1:]
    sides = [real]
    for decoded in (one, other):
        sides.append(read_image_tensor(decoded.uri))
        if sides[-1].shape != real.shape or min(height, width) < CROP:
            raise ManifestError(
                f"{decoded.uri}: training needs images of {CROP} x {CROP} pixels or more, "
                "of their reference's size"
            )
    corners = [
        (draw.randint(0, height - CROP), draw.randint(0, width - CROP)) for _ in range(crops)
    ]
    real, first, second = (
        torch.stack([side[:, top : top + CROP, left : left + CROP] for top, left in corners])
        for side in sides
    )
    return real, first, second
