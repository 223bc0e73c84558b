"""Images of any bit depth."""

import numpy as np
from numpy.typing import NDArray

from roi_ray.imaging.pixels import HighBitDepthImage, Pixels, Pixels8


def noisy_pair(
    photo: Pixels8, bit_depths: tuple[int, int], rng: np.random.Generator
) -> tuple[list[NDArray[np.float64]], list[Pixels]]:
    """Make two noisy copies of a photograph: samples of n bits, 0 to 2^n - 1, and images."""
    copies = [np.clip(photo / 255 + rng.normal(0, 0.02, photo.shape), 0, 1) for _ in bit_depths]
    samples = [np.round(c * (2**n - 1)) for c, n in zip(copies, bit_depths, strict=True)]
    images: list[Pixels] = [
        s.astype(np.uint8) if n == 8 else HighBitDepthImage(s.astype(np.uint16), n)
        for s, n in zip(samples, bit_depths, strict=True)
    ]
    return samples, images
