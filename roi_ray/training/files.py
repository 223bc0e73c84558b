"""Read images and maps to train on, with errors that name the file."""

from collections.abc import Callable

import torch
from torch import Tensor

from roi_ray.errors import ImageError
from roi_ray.imaging.decode import decode_image, decode_map, decode_rgba
from roi_ray.imaging.pixels import Pixels8, to_8_bits
from roi_ray.io import storage


def read_image(uri: str) -> Pixels8:
    """Read an image as uint8 (H, W, 3); more than 8 bits per sample are rounded to 8.

    Raises:
        ImageError: the file is not a usable image; the message begins with the URI.
        StorageError: the file cannot be read.
    """
    return _read(uri, lambda data: to_8_bits(decode_image(data)))


def read_map(uri: str) -> Pixels8:
    """Read a saliency map as uint8 (H, W).

    Raises:
        ImageError, StorageError: as `read_image`.
    """
    return _read(uri, decode_map)


def read_rgba(uri: str) -> Pixels8:
    """Read an image with an alpha channel as uint8 (H, W, 4).

    Raises:
        ImageError, StorageError: as `read_image`.
    """
    return _read(uri, decode_rgba)


def read_image_tensor(uri: str) -> Tensor:
    """Read an image as a tensor; see `to_chw_tensor`.

    Raises:
        ImageError, StorageError: as `read_image`.
    """
    return to_chw_tensor(read_image(uri))


def to_chw_tensor(pixels: Pixels8) -> Tensor:
    """Copy pixels, uint8 (H, W, 3), into a tensor, uint8 (3, H, W), which is not contiguous."""
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)


def _read(uri: str, decode: Callable[[bytes], Pixels8]) -> Pixels8:
    data = storage.read_bytes(uri)
    try:
        return decode(data)
    except ImageError as error:
        raise type(error)(f"{uri}: {error}") from error
