"""Strips: rows of large images, one strip after the other, so that memory does not grow with size.

An operation on a window of rows, such as a convolution, also needs rows of the strips before.
`RowBuffer` keeps them, so that nothing is computed twice and every result equals that of the whole
image.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from torch import Tensor

from roi_ray.metrics.images import Images, Strip

WHOLE_PIXELS = 3 << 19
"""Images of no more pixels are one strip. Strips of larger ones are faster, too, because the memory
of whole ones comes fresh from the system."""

STRIP_PIXELS = {"cpu": 1 << 19, "cuda": 1 << 22}
"""Pixels of a strip of a larger image, by type of device: those of the batches that are fastest."""

MIN_STRIP_ROWS = 32
"""All strips but the last have a multiple of these rows: so have, at all resolutions, most of the
windows that networks and filters see, and their libraries prepare for few shapes."""


def plan_strips(size: tuple[int, int], device: torch.device) -> list[Strip]:
    """Return the strips in which a device reads images of a height and width; one of small ones."""
    height, width = size
    if height * width <= WHOLE_PIXELS:
        return [Strip(0, height, height)]
    return split_into_strips(size, STRIP_PIXELS[device.type])


def split_into_strips(size: tuple[int, int], pixels: int) -> list[Strip]:
    """Split images into strips of full width.

    Args:
        size: height and width.
        pixels: pixels of a strip, approximately: it has 32 rows or more, and the last one less than
            twice as many as the others.

    Returns:
        the strips, from top to bottom.
    """
    height, width = size
    rows = max(1, pixels // width // MIN_STRIP_ROWS) * MIN_STRIP_ROWS
    ends = [*range(rows, height - rows + 1, rows), height]
    return [Strip(start, end, height) for start, end in pairwise([0, *ends])]


@dataclass(frozen=True, eq=False)
class ImageStrips:
    """Images of one size and one bit depth, to be read in strips, any number of times.

    Attributes:
        count: number of images, N.
        size: height and width in pixels.
        white: full scale of the samples, see `Images`.
        load: returns the samples from one row to before another, (N, 3, rows, W).
        strips: the strips, from top to bottom.
    """

    count: int
    size: tuple[int, int]
    white: int
    load: Callable[[int, int], Tensor]
    strips: Sequence[Strip]

    @classmethod
    def from_samples(cls, samples: Tensor, white: int) -> "ImageStrips":
        """Make strips of samples in memory, (N, 3, H, W); one strip of small images."""
        height, width = samples.shape[-2:]
        strips = plan_strips((height, width), samples.device)

        def load(start: int, end: int) -> Tensor:
            return samples[..., start:end, :]

        return cls(len(samples), (height, width), white, load, strips)

    @property
    def is_whole(self) -> bool:
        """Whether the images are one strip."""
        return len(self.strips) == 1

    def select(self, *numbers: int) -> "ImageStrips":
        """Return some of the images."""

        def load(start: int, end: int) -> Tensor:
            samples = self.load(start, end)
            first = numbers[0]
            # A view where possible.
            return samples[first : first + 1] if len(numbers) == 1 else samples[list(numbers)]

        return replace(self, count=len(numbers), load=load)

    def __iter__(self) -> Iterator[Images]:
        """Read the strips, from top to bottom."""
        for strip in self.strips:
            yield Images(self.load(strip.start, strip.end), self.white, strip)


@dataclass(frozen=True)
class Window:
    """Rows for the next outputs of an operation on a window of rows.

    Attributes:
        rows: the input rows inside the image, (..., rows, W).
        above: rows above the image that the first outputs need; the operation pads them.
        below: rows below the image that the last outputs need.
    """

    rows: Tensor
    above: int
    below: int


class RowBuffer:
    """Collects rows of an image that comes in strips, for an operation on a window of rows.

    Output row i of the operation sees the input rows `i stride - padding` to
    `i stride - padding + kernel`.

    Args:
        kernel: rows of the window.
        stride: rows between two windows.
        padding: rows above the image that the first window sees.
        padding_below: rows below the image that windows may see; None for as many as above.
        min_outputs: output rows for which it waits, except at the end.
    """

    def __init__(
        self,
        kernel: int,
        stride: int = 1,
        padding: int = 0,
        padding_below: int | None = None,
        min_outputs: int = 1,
    ) -> None:
        self._kernel, self._stride, self._padding = kernel, stride, padding
        self._padding_below = padding if padding_below is None else padding_below
        self._min_outputs = min_outputs
        self._kept: Tensor | None = None
        self._first = 0  # row number of the first row that is kept
        self._outputs = 0  # number of output rows so far

    def push(self, rows: Tensor, is_last: bool) -> Window | None:
        """Add the next rows; take the window of all outputs that can now be computed.

        Args:
            rows: the next rows of the image, (..., rows, W); may be none.
            is_last: whether these are the last rows of the image.

        Returns:
            the window; None if it is too small for an output, or for those it waits for.
        """
        if self._kept is not None and self._kept.shape[-2]:
            kept = self._kept
            rows = torch.cat([kept, rows], dim=-2) if rows.shape[-2] else kept
        end = self._first + rows.shape[-2]
        reach = end + (self._padding_below if is_last else 0)
        outputs = (reach + self._padding - self._kernel) // self._stride + 1
        if outputs < self._outputs + (1 if is_last else self._min_outputs):
            self._kept = rows
            return None
        top = self._outputs * self._stride - self._padding
        bottom = (outputs - 1) * self._stride - self._padding + self._kernel
        window = rows[..., max(0, top) - self._first : bottom - self._first, :]
        next_top = max(0, outputs * self._stride - self._padding)
        # A copy, because a view would keep the memory of all rows.
        self._kept = rows[..., next_top - self._first :, :].clone()
        self._first = min(next_top, end)
        self._outputs = outputs
        return Window(window, above=max(0, -top), below=max(0, bottom - end))
