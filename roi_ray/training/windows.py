"""Originals with their decoded images, and random windows of both, to train D on."""

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

_WINDOW = 128
_READER_THREADS = 8


@dataclass(frozen=True)
class Decoded:
    """A decoded image.

    Attributes:
        uri: URI of the file.
        codec: name of the codec, or None if the manifest does not say.
        bpp: bits per pixel, or None if the manifest does not say.
    """

    uri: str
    codec: str | None
    bpp: float | None


@dataclass(frozen=True)
class Original:
    """An original with all images that were decoded from it.

    Attributes:
        name: the reference as the first of its rows spells it.
        uri: URI of the file.
        decoded: decoded images.
    """

    name: str
    uri: str
    decoded: tuple[Decoded, ...]


def read_originals(manifest: Manifest, allowed: Sequence[str] = ()) -> list[Original]:
    """Group a manifest's rows by reference, in the order of the references' first rows.

    Args:
        manifest: manifest from `read_manifest`.
        allowed: folders that images may be in, besides the manifest's own.

    Raises:
        ManifestError: an image is in another folder, or a bit rate is not a number.
    """
    allowlist = build_allowlist(manifest.base, allowed)

    def resolve(written: str) -> str:
        uri = storage.resolve(written, manifest.base)
        try:
            allowlist.check(uri)
        except NotAllowed as error:
            raise ManifestError(f"manifest {manifest.uri}: {written} is {error}") from error
        return uri

    def parse_bpp(row: Mapping[str, Any]) -> float | None:
        bpp = row.get(schema.BPP)
        try:
            return None if bpp is None else float(bpp)
        except (TypeError, ValueError) as error:
            text = f"{schema.BPP!r} of {row[schema.DISTORTED]} is not a number: {bpp!r}"
            raise ManifestError(f"manifest {manifest.uri}: {text}") from error

    # Group by URI, because rows may spell the same reference differently.
    groups: dict[str, tuple[str, list[Decoded]]] = {}
    for row in manifest.table.to_pylist():
        if row.get(schema.ERROR) is not None:  # it was never encoded
            continue
        codec = row.get(schema.CODEC)
        decoded = Decoded(
            resolve(row[schema.DISTORTED]), None if codec is None else str(codec), parse_bpp(row)
        )
        name = row[schema.REFERENCE]
        groups.setdefault(storage.normalize(resolve(name)), (name, []))[1].append(decoded)
    return [Original(name, uri, tuple(decoded)) for uri, (name, decoded) in groups.items()]


def hash_image_files(originals: Sequence[Original]) -> str:
    """Return a SHA-256 that changes with the images' URIs and sizes in bytes."""
    uris = [uri for each in originals for uri in (each.uri, *(d.uri for d in each.decoded))]
    sizes = {folder: storage.file_sizes(folder) for folder in set(map(storage.parent, uris))}
    sha256 = hashlib.sha256()
    for uri in uris:
        size = sizes[storage.parent(uri)].get(uri.rpartition("/")[2])
        sha256.update(f"{uri} {size}\n".encode())
    return sha256.hexdigest()


@dataclass(frozen=True)
class Windows:
    """The same windows of originals and of two images decoded from each.

    Attributes:
        real: windows of the originals, float, (N, 3, 128, 128), in [0, 1].
        better: the same windows of the decoded image with the smaller squared error there.
        worse: the same windows of the other one; equal to `better` if there is only one.
    """

    real: Tensor
    better: Tensor
    worse: Tensor


def draw_windows(originals: Sequence[Original], crops: int, seeds: Sequence[str]) -> Windows:
    """For each seed, draw an original, two images decoded from it by one codec, and windows.

    Args:
        originals: originals to draw from.
        crops: number of windows per seed.
        seeds: seeds; the same seed draws the same windows.

    Raises:
        ManifestError: an image is smaller than a window, or has another size than its original.
        ImageError, StorageError: an image cannot be read.
    """
    with ThreadPoolExecutor(_READER_THREADS) as threads:
        drawn = list(threads.map(lambda seed: _draw(originals, crops, random.Random(seed)), seeds))
    real, first, second = (torch.cat(part).float() / 255 for part in zip(*drawn, strict=True))
    first_error, second_error = (
        (part - real).square().mean((1, 2, 3), keepdim=True) for part in (first, second)
    )
    in_order = first_error <= second_error
    return Windows(real, torch.where(in_order, first, second), torch.where(in_order, second, first))


def _draw(
    originals: Sequence[Original], crops: int, draw: random.Random
) -> tuple[Tensor, Tensor, Tensor]:
    original = draw.choice(originals)
    first = draw.choice(original.decoded)
    same_codec = [
        other for other in original.decoded if other.codec == first.codec and other is not first
    ]
    second = draw.choice(same_codec) if same_codec else first
    real = read_image_tensor(original.uri)
    height, width = real.shape[1:]
    images = [real]
    for decoded in (first, second):
        images.append(read_image_tensor(decoded.uri))
        if images[-1].shape != real.shape or min(height, width) < _WINDOW:
            raise ManifestError(
                f"{decoded.uri}: training needs images of {_WINDOW} x {_WINDOW} pixels or more, "
                "of their reference's size"
            )
    corners = [
        (draw.randint(0, height - _WINDOW), draw.randint(0, width - _WINDOW)) for _ in range(crops)
    ]
    real, first_windows, second_windows = (
        torch.stack([image[:, top : top + _WINDOW, left : left + _WINDOW] for top, left in corners])
        for image in images
    )
    return real, first_windows, second_windows
