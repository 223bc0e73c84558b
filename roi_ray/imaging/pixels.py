"""The type of decoded images, and checks of arrays that claim to be one."""

import numpy as np
from numpy.typing import NDArray

from roi_ray.errors import ImageReadError, SizeMismatch

Pixels = NDArray[np.uint8]
"""A decoded image, (height, width, 3), or a decoded mask, (height, width); 0..255."""


def check_pixels(image: Pixels, channels: tuple[int, ...] = (3,)) -> None:
    """Check that an array is a decoded image, or with no channels a decoded mask.

    Raises:
        ImageReadError: it is not.
    """
    if image.dtype != np.uint8 or image.ndim < 2 or image.shape[2:] != channels:
        wanted = f"uint8 (height, width{''.join(f', {each}' for each in channels)})"
        raise ImageReadError(f"an array of {image.dtype} {image.shape}, which should be {wanted}")


def check_size(image: Pixels, reference: Pixels | tuple[int, int]) -> None:
    """Check that an image, or a mask, is of its reference's size.

    Args:
        image: of shape (height, width, ...).
        reference: another one, or its height and width.

    Raises:
        SizeMismatch: it is not.
    """
    height, width = reference if isinstance(reference, tuple) else reference.shape[:2]
    if image.shape[:2] != (height, width):
        raise SizeMismatch(
            f"{image.shape[1]} x {image.shape[0]}, but its reference is {width} x {height}"
        )
