"""Pairs of an image and the saliency map that a teacher network gave it."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from roi_ray.errors import ManifestError
from roi_ray.io import storage
from roi_ray.training.files import read_image, read_map, to_chw_tensor


@dataclass(frozen=True)
class Pair:
    """An image and its teacher's map.

    Attributes:
        name: name of the image file without suffix.
        image: sRGB, uint8, (3, H, W).
        map: uint8, (1, H, W); 255 where the teacher sees an object.
        min_crop: the smallest fraction of each side that a training's random crops keep, 0..1.
    """

    name: str
    image: Tensor
    map: Tensor
    min_crop: float = 0.6


def read_pairs(images_folder: str, maps_folder: str) -> list[Pair]:
    """Read images and the 8-bit maps of the same names (with any suffix), sorted by name.

    Raises:
        ManifestError: an image has no map, a map has another size, or there are no images.
        ImageError, StorageError: a file cannot be read.
    """
    maps = list_files_by_name(maps_folder)
    pairs = []
    for name, file in list_files_by_name(images_folder).items():
        if name not in maps:
            raise ManifestError(f"{maps_folder} has no map for the image {file}")
        pairs.append(read_pair(name, file, maps[name]))
    if not pairs:
        raise ManifestError(f"there are no images in {images_folder}")
    return pairs


def read_pair(name: str, image_uri: str, map_uri: str, min_crop: float = Pair.min_crop) -> Pair:
    """Read an image and its map.

    Raises:
        ManifestError: the map has another size than the image.
        ImageError, StorageError: a file cannot be read.
    """
    image = read_image(image_uri)
    mask = read_map(map_uri)
    if image.shape[:2] != mask.shape:
        raise ManifestError(f"the map {map_uri} is not of the size of its image")
    return Pair(
        name, to_chw_tensor(image).contiguous(), torch.from_numpy(mask.copy())[None], min_crop
    )


def hash_pairs(pairs: Iterable[Pair]) -> str:
    """Return the SHA-256 of the pairs' names, images and maps."""
    sha256 = hashlib.sha256()
    for pair in pairs:
        sha256.update(pair.name.encode())
        for tensor in (pair.image, pair.map):
            sha256.update(str(tuple(tensor.shape)).encode())
            sha256.update(tensor.numpy().tobytes())
    return sha256.hexdigest()


def list_files_by_name(*folders: str) -> dict[str, str]:
    """List the files of folders: name without suffix -> URI, sorted within each folder.

    Raises:
        ManifestError: two files have the same name.
        StorageError: a folder cannot be listed.
    """
    uris: dict[str, str] = {}
    for folder in folders:
        for file in storage.list_files(folder):
            name, uri = file.rsplit(".", 1)[0], storage.join(folder, file)
            if name in uris:
                raise ManifestError(f"{uris[name]} and {uri} have the same name")
            uris[name] = uri
    return uris
