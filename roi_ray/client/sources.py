"""Images and masks as they are sent: the content of a file, or the URI of one.

Files are read whole and once, so that a request can be repeated, with the same content.
"""

import hashlib
import io
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from roi_ray.client.messages import Part
from roi_ray.errors import ImageError, StorageError
from roi_ray.io.uris import local_path

if TYPE_CHECKING:
    from roi_ray.imaging.load import ImageSource
    from roi_ray.imaging.pixels import Pixels

_T = TypeVar("_T")

HASH_PREFIX = "sha256:"
"""Begins the name of a reference that the service has."""
MAX_IMAGES = 16
"""Images of a request: few enough to be scored within the time limit of a service."""
MAX_BYTES = 32 << 20
"""Bytes of images of a request. A single image may be larger."""


@dataclass(frozen=True)
class Content:
    """What is sent for an image or a mask.

    Attributes:
        name: path or URI as it was given; what it is for others, such as `image 1`.
        content: content of the file; or the URI, or hash, by which the service finds it.
    """

    name: str
    content: bytes | str = field(repr=False)

    @cached_property
    def reference(self) -> str:
        """What names the image as a reference: its hash or URI."""
        if isinstance(self.content, str):
            return self.content
        return HASH_PREFIX + hashlib.sha256(self.content).hexdigest()

    def to_part(self, field_name: str) -> Part:
        """Make the field of a form that sends it."""
        if isinstance(self.content, str):
            return Part(field_name, self.content)
        filename = os.path.basename(self.name).encode(errors="replace").decode()
        return Part(field_name, self.content, filename)


@dataclass(frozen=True)
class Unreadable:
    """An image that could not be read here.

    Attributes:
        name: as of `Content`.
        error: why.
    """

    name: str
    error: ImageError


def read_image(source: "ImageSource", name: str | None = None) -> Content:
    """Read an image that is sent.

    Args:
        source: see `Client.score`.
        name: name of a source that is no path or URI; None for its type.

    Raises:
        ImageReadError, ImageTooLarge, UnsupportedColour: as `roi_ray.load_image`.
        UsageError: it is nothing that an image can be read from.
    """
    return _read(source, name, _encode_image)


def read_mask(source: "ImageSource") -> Content:
    """Read a mask that is sent; see `read_image`, and `roi_ray.imaging.load.load_mask`."""
    return _read(source, None, _encode_mask)


def read_reference(source: "ImageSource") -> Content:
    """Read a reference, which can also be a text `sha256:...`; see `read_image`."""
    if isinstance(source, str) and source.startswith(HASH_PREFIX):
        return Content(source, source)
    content = read_image(source)
    _ = content.reference  # hash it here: `AsyncClient` reads in a thread
    return content


def read_named(name: str, read: Callable[[], _T]) -> _T:
    """Read something, and begin the message of an error with its name, as `roi_ray.score` does."""
    try:
        return read()
    except ImageError as error:
        raise type(error)(f"{name}: {error}") from error


def read_batch(sources: Sequence["ImageSource"], start: int) -> list[Content | Unreadable]:
    """Read the images of the next request, from number `start`, until it is large enough."""
    batch: list[Content | Unreadable] = []
    size = 0
    for number, source in enumerate(sources[start : start + MAX_IMAGES], start=start + 1):
        name = f"image {number}"
        try:
            content = read_image(source, name)
        except ImageError as error:
            batch.append(Unreadable(_name_of(source, name), error))
            continue
        size += len(content.content)
        if batch and size > MAX_BYTES:
            break
        batch.append(content)
    return batch


def _name_of(source: "ImageSource", name: str | None) -> str:
    if isinstance(source, str | os.PathLike):
        return os.fspath(source)
    return name or type(source).__name__


def _read(
    source: "ImageSource", name: str | None, encode: Callable[["ImageSource"], bytes]
) -> Content:
    name = _name_of(source, name)
    if isinstance(source, bytes):
        return Content(name, source)
    if not isinstance(source, str | os.PathLike):
        return Content(name, encode(source))
    if "://" in name:
        return Content(name, name)
    try:
        with open(local_path(name), "rb") as file:
            return Content(name, file.read())
    except (OSError, ValueError, StorageError):
        from roi_ray.imaging.load import read_image_file  # it says more about what is wrong

        return Content(name, read_image_file(name))


def _encode_image(source: "ImageSource") -> bytes:
    from roi_ray.imaging.load import load_image

    return encode_pixels(load_image(source))


def _encode_mask(source: "ImageSource") -> bytes:
    from roi_ray.imaging.load import load_mask

    return encode_pixels(load_mask(source))


def encode_pixels(pixels: "Pixels") -> bytes:
    """Write pixels as a file that decodes to the same values and depth.

    Args:
        pixels: an image (height, width, 3), uint8 or a `HighBitDepthImage`; or a mask (height,
            width), uint8.

    Returns:
        a PNG; of more than 8 bits a PPM, as PNG does not say which values of 10 bits are white.
    """
    import numpy as np
    from PIL import Image

    from roi_ray.imaging.pixels import bit_depth_of

    if (bit_depth := bit_depth_of(pixels)) > 8:
        height, width, _ = pixels.shape
        header = f"P6\n{width} {height}\n{(1 << bit_depth) - 1}\n".encode()
        return header + np.asarray(pixels).astype(">u2").tobytes()
    file = io.BytesIO()
    # Level 1 takes a fifth of the time of the default, for files that are a tenth larger.
    Image.fromarray(np.asarray(pixels)).save(file, "PNG", compress_level=1)
    return file.getvalue()
