"""Crop, rotate and mirror an image as the properties of its HEIF item say.

The properties apply in their order (ISO/IEC 23008-12, 6.5). EXIF says nothing in these files: its
orientation is informative where the properties decide (ISO/IEC 23000-22, 7.3.6).
"""

from collections.abc import Callable, Iterable
from fractions import Fraction
from functools import partial

import numpy as np

from roi_ray.errors import ImageReadError
from roi_ray.imaging.boxes import Fields
from roi_ray.imaging.samples import Samples

_PROBE = np.array([[0, 1], [2, 3]], np.uint8)
_ORIENTATIONS = {
    (0, 1, 2, 3): 1,
    (1, 0, 3, 2): 2,
    (3, 2, 1, 0): 3,
    (2, 3, 0, 1): 4,
    (0, 2, 1, 3): 5,
    (2, 0, 3, 1): 6,
    (3, 1, 2, 0): 7,
    (1, 3, 0, 2): 8,
}
"""EXIF orientation by what it makes of `_PROBE`."""


def apply_transforms(
    samples: Samples, properties: Iterable[tuple[bytes, bytes]]
) -> tuple[Samples, int]:
    """Crop an image, and find out how it is to be turned.

    Args:
        samples: (height, width, channels).
        properties: type and content of each property, in order; others than `clap`, `irot` and
            `imir` are ignored.

    Returns:
        a view of the samples that is cropped, and the EXIF orientation, 1 to 8, that is still to be
        applied.

    Raises:
        ImageReadError: a clean aperture (`clap`) is not of whole pixels inside the image.
    """
    turns: list[Callable[[Samples], Samples]] = []
    for kind, content in properties:
        if kind == b"irot" and content:
            turns.append(partial(np.rot90, k=content[0] & 3))  # anticlockwise
        elif kind == b"imir" and content:
            turns.append(partial(np.flip, axis=content[0] & 1))  # 0: top and bottom are swapped
        elif kind == b"clap":
            samples = crop(_turn(samples, turns), content)
            turns = []
    return samples, _ORIENTATIONS[tuple(_turn(_PROBE, turns).ravel().tolist())]


def _turn(samples: Samples, turns: list[Callable[[Samples], Samples]]) -> Samples:
    for turn in turns:
        samples = turn(samples)
    return samples


def crop(samples: Samples, clap: bytes) -> Samples:
    """Crop an image to its clean aperture (ISO/IEC 14496-12, 12.1.4).

    Args:
        samples: (height, width, channels).
        clap: content of the `clap` property: its width, height, and the offsets of its centre from
            the image's, as fractions.

    Raises:
        ImageReadError: it is not of whole pixels inside the image.
    """
    fields = Fields(clap)
    numbers = [fields.number(4) for _ in range(8)]
    if not all(numbers[1::2]):
        raise ImageReadError("its clean aperture (clap) has a denominator of 0")
    # Offsets are signed.
    signed = [n - (1 << 32) if i > 1 and n >> 31 else n for i, n in enumerate(numbers[::2])]
    width, height, x, y = (Fraction(*pair) for pair in zip(signed, numbers[1::2], strict=True))
    left, top = x + (samples.shape[1] - width) / 2, y + (samples.shape[0] - height) / 2
    edges = top, top + height, left, left + width
    limits = samples.shape[0], samples.shape[0], samples.shape[1], samples.shape[1]
    inside = all(0 <= edge <= limit for edge, limit in zip(edges, limits, strict=True))
    if not inside or width <= 0 or height <= 0 or any(edge.denominator > 1 for edge in edges):
        raise ImageReadError(
            f"its clean aperture (clap) of {float(width):g} x {float(height):g} pixels at "
            f"({float(left):g}, {float(top):g}) is not of whole pixels inside the image of "
            f"{samples.shape[1]} x {samples.shape[0]}"
        )
    first_row, last_row, first_column, last_column = map(int, edges)
    return samples[first_row:last_row, first_column:last_column]
