"""Which part of an image the gallery shows."""

from dataclasses import dataclass

import numpy as np

from roi_ray.decision.pchip import Floats
from roi_ray.report.gallery.error_map import Map


@dataclass(frozen=True)
class Crop:
    """A part of an image, in pixels.

    Attributes:
        left: first column.
        top: first row.
        width: number of columns.
        height: number of rows.
    """

    left: int
    top: int
    width: int
    height: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """The rows and the columns, to index an array with."""
        return (
            slice(self.top, self.top + self.height),
            slice(self.left, self.left + self.width),
        )

    def within(self, outer: "Crop") -> "Crop":
        """Return the place in the whole image of this crop of another crop."""
        return Crop(self.left + outer.left, self.top + outer.top, self.width, self.height)


def choose_crop(
    first: Map, second: Map | None, size: tuple[int, int], side: int, step: int = 1
) -> Crop:
    """Choose the square in which the errors of two images differ most in sum.

    Where one has no error and the other much, a reader sees at once which is better; where both
    have as much, nothing is to be seen. Errors that only change places within the square cancel.

    Args:
        first: errors of the first image, 0 or more, of every `step`-th pixel.
        second: errors of the second, of the same shape; None to choose where `first` is largest.
        size: height and width of the image.
        side: height and width of the square; one of the image's own where that is smaller.
        step: distance of the pixels of the maps.

    Returns:
        The crop; the middle of the image where all sums are equal.
    """
    height, width = size
    rows, columns = min(side, height), min(side, width)
    difference = np.asarray(first if second is None else first - second, np.float64)
    window = (max(1, rows // step), max(1, columns // step))
    sums = np.abs(_sum_windows(difference, window))
    if sums.max() - sums.min() <= 1e-9 * max(1.0, float(sums.max())):
        top, left = (height - rows) // 2, (width - columns) // 2
    else:
        top, left = (int(i) * step for i in np.unravel_index(sums.argmax(), sums.shape))
    return Crop(min(left, width - columns), min(top, height - rows), columns, rows)


def _sum_windows(values: Floats, window: tuple[int, int]) -> Floats:
    """Sum the values of all windows of a size, by an integral image."""
    integral = np.pad(values.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    rows, columns = window
    sums: Floats = (
        integral[rows:, columns:]
        - integral[:-rows, columns:]
        - integral[rows:, :-columns]
        + integral[:-rows, :-columns]
    )
    return sums
