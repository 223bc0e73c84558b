"""Images and the saliency maps that a teacher gave them."""

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
    """An image and its teacher's map: uint8 (3, H, W) and (1, H, W).

    Attributes:
        name: the image file's, without its suffix.
        image: sRGB.
        map: 255 where the teacher sees an object.
        kept: of each side, at least, by a training's random crops.
    """

    name: str
    image: Tensor
    map: Tensor
    kept: float = 0.6


def read_pairs(images_folder: str, maps_folder: str) -> list[Pair]:
    """Images and the 8-bit maps of the same name (whatever the suffix), sorted by name.

    Raises:
        ManifestError: an image has no map, a map is of another size, or there are no images.
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


def read_pair(name: str, image_uri: str, map_uri: str, kept: float = Pair.kept) -> Pair:
    """One image and its map.

    Raises:
        ManifestError: the map is of another size.
        ImageError, StorageError: a file cannot be read.
    """
    image = read_image(image_uri)
    mask = read_map(map_uri)
    if image.shape[:2] != mask.shape:
        raise ManifestError(f"the map {map_uri} is not of the size of its image")
    return Pair(name, to_chw_tensor(image).contiguous(), torch.from_numpy(mask.copy())[None], kept)


def hash_pairs(pairs: Iterable[Pair]) -> str:
    """SHA-256 of names, images and maps."""
    found = hashlib.sha256()
    for pair in pairs:
        found.update(pair.name.encode())
        for tensor in (pair.image, pair.map):
            found.update(str(tuple(tensor.shape)).encode())
            found.update(tensor.numpy().tobytes())
    return found.hexdigest()


def list_files_by_name(*folders: str) -> dict[str, str]:
    """The files of folders by their names without suffix, sorted in each: name -> URI.

    Raises:
        ManifestError: two have the same name.
        StorageError: a folder cannot be listed.
    """
    found: dict[str, str] = {}
    for folder in folders:
        for file in storage.list_files(folder):
            name, uri = file.rsplit(".", 1)[0], storage.join(folder, file)
            if name in found:
                raise ManifestError(f"{found[name]} and {uri} have the same name")
            found[name] = uri
    return found
