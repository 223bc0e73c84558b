"""Decode the files of a request. Imports no torch, so that a process that decodes starts soon."""

from collections.abc import Awaitable, Callable
from typing import Literal

from roi_ray.errors import ImageError
from roi_ray.imaging.decode import decode_image, decode_mask
from roi_ray.imaging.header import ImageHeader, read_stated_header
from roi_ray.imaging.pixels import Pixels
from roi_ray.pipeline.decode_stage import DecodeLimits, decode_content
from roi_ray.schema import Failure
from roi_ray.scoring.needs import image_bytes

Role = Literal["image", "mask"]
"""What a file is: a reference or a distorted image, or a mask of the region of interest."""

Decode = Callable[[bytes, Role], Awaitable[Pixels | Failure]]
"""Decodes a file, perhaps in another process."""

PLANNED_PIXELS = 1 << 24
"""Images of more pixels are decoded and scored one at a time on each machine, if there is memory
for them. A decoder takes 0.3 GB for one of this size, and a process that scores 1 GB."""

ADVICE = "send fewer large images at a time, or take a machine with more memory"
"""What to do if there is too little memory for an image."""


def make_limits(max_pixels: int) -> DecodeLimits:
    """Return the limits of a process that decodes images of up to this number of pixels."""
    return DecodeLimits(max_pixels, PLANNED_PIXELS, advice=ADVICE, can_wait=False)


def decode_file(data: bytes, role: Role, limits: DecodeLimits) -> Pixels | Failure:
    """Decode a file as `roi_ray.load_image` and `roi_ray.load_mask` do.

    Args:
        data: the file's content.
        role: what the file is.
        limits: largest images.

    Returns:
        the pixels, (H, W, 3), or of a mask uint8, (H, W); or a failure whose text does not name the
        file.

    Raises:
        TurnTaken: the image is large, and so is another one that is worked on: see `retry_turn`.

    Examples:
        >>> from roi_ray.sweep import photographs
        >>> limits = make_limits(max_pixels=1 << 20)
        >>> data = photographs()["chelsea"].read_bytes()
        >>> decode_file(data, "image", limits).shape
        (300, 451, 3)
        >>> print(decode_file(data[:100], "image", limits))  # doctest: +ELLIPSIS
        ImageReadError: ...
    """
    try:
        return decode_content(decode_mask if role == "mask" else decode_image, data, limits)
    except ImageError as error:
        return Failure.from_exception(error)


def name_failure(failure: Failure, subject: str) -> Failure:
    """Return a failure whose text begins with the file that it is about."""
    return Failure(failure.kind, f"{subject}: {failure.text}")


def read_size(data: bytes) -> ImageHeader | None:
    """Read the size of an image without its decoder; None if only its decoder can, or nothing."""
    try:
        return read_stated_header(data)
    except ImageError:
        return None


def estimate_bytes(data: bytes, unknown: int) -> int:
    """Estimate the bytes of a decoded image, without its decoder.

    Args:
        data: the file's content.
        unknown: the estimate for formats that only their decoder can read, and damaged files.
    """
    header = read_size(data)
    return unknown if header is None else image_bytes(header.pixels, header.bit_depth)
