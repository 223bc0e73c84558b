"""Images and maps to train on, by URI: when one cannot be used, the error says which."""

from collections.abc import Callable

import torch
from torch import Tensor

from roi_ray.errors import ImageError
from roi_ray.imaging.decode import decode_image, decode_mask, decode_rgba
from roi_ray.imaging.pixels import Pixels
from roi_ray.io import storage


def read_image(uri: str) -> Pixels:
    """An image, uint8 (H, W, 3).

    Raises:
        ImageError: it cannot be decoded; begins with the URI.
        StorageError: it cannot be read.
    """
    return _read(uri, decode_image)


def read_map(uri: str) -> Pixels:
    """A saliency map, uint8 (H, W).

    Raises:
        ImageError, StorageError: as `read_image`.
    """
    return _read(uri, decode_mask)


def read_cut_out(uri: str) -> Pixels:
    """An image with its alpha channel, uint8 (H, W, 4).

    Raises:
        ImageError, StorageError: as `read_image`.
    """
    return _read(uri, decode_rgba)


def read_image_tensor(uri: str) -> Tensor:
    """An image as a tensor; see `planes`.

    Raises:
        ImageError, StorageError: as `read_image`.
    """
    return to_chw_tensor(read_image(uri))


def to_chw_tensor(pixels: Pixels) -> Tensor:
    """uint8 (H, W, 3) -> uint8 (3, H, W), not contiguous; memory of its own."""
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)


def _read(uri: str, decode: Callable[[bytes], Pixels]) -> Pixels:
    data = storage.read_bytes(uri)
    try:
        return decode(data)
    except ImageError as error:
        raise type(error)(f"{uri}: {error}") from error
