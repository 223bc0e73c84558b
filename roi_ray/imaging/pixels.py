"""The array type of decoded images, and checks of arrays that callers pass."""

import numpy as np
from numpy.typing import NDArray

from roi_ray.errors import ImageReadError, SizeMismatch

Pixels = NDArray[np.uint8]
"""A decoded image, (height, width, 3), or a decoded mask, (height, width); 0..255."""


def check_pixels(image: Pixels, channels: tuple[int, ...] = (3,)) -> None:
    """Check that an array has the type and shape of a decoded image or mask.

    Args:
        image: the array to check.
        channels: `(3,)` for an image, `()` for a mask.

    Raises:
        ImageReadError: the array has another type or shape.
    """
    if not isinstance(image, np.ndarray):
        raise ImageReadError(
            f"an object of type {type(image).__name__}, which should be a uint8 array; "
            "`roi_ray.load_image` reads files"
        )
    if image.dtype != np.uint8 or image.ndim < 2 or image.shape[2:] != channels:
        wanted = f"uint8 (height, width{''.join(f', {count}' for count in channels)})"
        raise ImageReadError(f"an array of {image.dtype} {image.shape}, which should be {wanted}")


def check_size(image: Pixels, reference: Pixels | tuple[int, int]) -> None:
    """Check that an image or a mask has the size of its reference.

    Args:
        image: (height, width, ...).
        reference: the reference image, or its height and width.

    Raises:
        SizeMismatch: the sizes differ.
    """
    height, width = reference if isinstance(reference, tuple) else reference.shape[:2]
    if image.shape[:2] != (height, width):
        raise SizeMismatch(
            f"{image.shape[1]} x {image.shape[0]}, but the reference is {width} x {height}"
        )
