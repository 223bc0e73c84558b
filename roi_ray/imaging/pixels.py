"""The array types of decoded images, and checks of arrays that callers pass.

An image of 8 bits per channel is a plain uint8 array. A file of 9 to 16 bits becomes a
`HighBitDepthImage`: a uint16 array that knows its bit depth, because the largest uint16 says
nothing about which value is white.
"""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from roi_ray.errors import ImageReadError, SizeMismatch
from roi_ray.imaging.samples import scale


class HighBitDepthImage(np.ndarray[Any, np.dtype[np.uint16]]):
    """sRGB samples of 9 to 16 bits: a uint16 array with a `bit_depth`.

    Slices, views, `copy`, `np.flip` and pickles keep the bit depth. Arithmetic and comparisons give
    plain arrays, and so do NumPy's functions that make a new array (`np.asarray`, `np.pad`,
    `np.where`, ...), because only the caller knows which value is white in their results.

    Args:
        samples: uint16, (height, width, 3), 0..2^bit_depth - 1.
        bit_depth: bits per sample, 9 to 16.

    Raises:
        ImageReadError: the array is not uint16, the bit depth is not 9 to 16, or a sample exceeds
            the bit depth.

    Examples:
        >>> import numpy as np
        >>> white = HighBitDepthImage(np.full((4, 4, 3), 1023, np.uint16), bit_depth=10)
        >>> white.dtype, white.bit_depth
        (dtype('uint16'), 10)
        >>> white[:2].bit_depth, type(white // 2).__name__
        (10, 'ndarray')
    """

    bit_depth: int

    def __new__(cls, samples: NDArray[np.uint16], bit_depth: int) -> "HighBitDepthImage":
        """View an array as an image of a bit depth, after checking its samples."""
        if not isinstance(samples, np.ndarray) or samples.dtype != np.uint16:
            raise ImageReadError("samples of more than 8 bits must be a uint16 array")
        if not 9 <= bit_depth <= 16:
            raise ImageReadError(f"a bit depth of {bit_depth}; uint16 samples have 9 to 16 bits")
        if samples.size and (largest := int(samples.max())) >> bit_depth:
            raise ImageReadError(f"a sample of {largest} does not fit into {bit_depth} bits")
        image = samples.view(cls)
        image.bit_depth = bit_depth
        return image

    def __array_finalize__(self, source: object) -> None:
        """Copy the bit depth to views and copies of the same type."""
        if self.dtype == np.uint16 and isinstance(source, HighBitDepthImage):
            self.bit_depth = source.bit_depth

    def __array_wrap__(  # type: ignore[override]  # a plain array, not an image
        self, array: NDArray[Any], context: object = None, return_scalar: bool = False
    ) -> NDArray[Any]:
        """Return the result of arithmetic as a plain array; `out=image` remains an image."""
        if array is self:
            return self
        return np.asarray(array)[()]  # a scalar if it has no dimensions

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the bit depth, which numpy's own pickling drops."""
        return HighBitDepthImage, (np.asarray(self), self.bit_depth)


Pixels: TypeAlias = NDArray[np.uint8] | HighBitDepthImage
"""A decoded image, (height, width, 3): uint8, or a `HighBitDepthImage`."""

Pixels8: TypeAlias = NDArray[np.uint8]
"""An image (height, width, 3) or a mask (height, width) of 8 bits; 0..255."""


def bit_depth_of(image: Pixels) -> int:
    """Return the bits per sample of an image: 8, or those of a `HighBitDepthImage`."""
    return image.bit_depth if isinstance(image, HighBitDepthImage) else 8


def to_8_bits(image: Pixels) -> Pixels8:
    """Round an image to 8 bits per sample; one of 8 bits is returned unchanged."""
    if not isinstance(image, HighBitDepthImage):
        return image
    return scale(np.asarray(image), (1 << image.bit_depth) - 1, 8)


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
    shape_is_right = image.ndim >= 2 and image.shape[2:] == channels
    if shape_is_right and channels and image.dtype == np.uint16:
        if isinstance(image, HighBitDepthImage) and hasattr(image, "bit_depth"):
            return
        raise ImageReadError(
            "a uint16 array does not say which value is white; give "
            "roi_ray.HighBitDepthImage(array, bit_depth=...)"
        )
    if image.dtype != np.uint8 or not shape_is_right:
        wanted = f"uint8 (height, width{''.join(f', {count}' for count in channels)})"
        if channels:
            wanted += " or a roi_ray.HighBitDepthImage"
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
