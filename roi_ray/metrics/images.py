"""Batches of images as metrics see them, and what several metrics need of a pair."""

from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from roi_ray.runtime.compiled import has_kernels


@dataclass(frozen=True)
class Strip:
    """Rows of images that are measured strip by strip, from top to bottom.

    Attributes:
        start: first row.
        end: row after the last one.
        height: height of the images.
    """

    start: int
    end: int
    height: int

    @property
    def is_last(self) -> bool:
        """Whether the images end with this strip."""
        return self.end == self.height

    @property
    def is_whole(self) -> bool:
        """Whether the strip is the whole images."""
        return self.end - self.start == self.height


@dataclass(frozen=True, eq=False)
class Images:
    """Images of one size and one bit depth, or a strip of them.

    Attributes:
        samples: (N, 3, H, W), sRGB: integers in 0..white, or floating-point in [0, 1].
        white: full scale of the samples: 2^n - 1 for n bits, 1 for floating-point.
        strip: the rows of the images that `samples` has; None for all rows.
    """

    samples: Tensor
    white: int
    strip: Strip | None = None

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.samples)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the whole images in pixels."""
        rows, width = self.samples.shape[-2:]
        return rows if self.strip is None else self.strip.height, width

    @property
    def is_whole(self) -> bool:
        """Whether these are whole images."""
        return self.strip is None or self.strip.is_whole

    @property
    def is_last(self) -> bool:
        """Whether the images end with these rows."""
        return self.strip is None or self.strip.is_last

    @cached_property
    def values(self) -> Tensor:
        """The images as float32 in [0, 1], in the memory layout of the samples."""
        values = self.samples.float()
        return values / self.white if self.white != 1 else values

    @cached_property
    def planes(self) -> Tensor:
        """The values, contiguous: one plane per channel, as filters read them."""
        if not self.has_kernels:
            return self.values.contiguous()
        from roi_ray.metrics.compiled.pixels import make_planes

        return make_planes(self.samples)

    @property
    def has_kernels(self) -> bool:
        """Whether there are kernels for the samples: on a CPU, 8 bits."""
        return self.white == 255 and self.samples.dtype == torch.uint8 and has_kernels(self.samples)


@dataclass(frozen=True, eq=False)
class ImagePair:
    """Distorted images and their references: one reference for all, or one per image.

    Attributes:
        references: 1 or N images.
        distorted: N images of the same size.
    """

    references: Images
    distorted: Images

    @property
    def has_kernels(self) -> bool:
        """Whether there are kernels for both images; see `Images.has_kernels`."""
        return self.references.has_kernels and self.distorted.has_kernels

    @cached_property
    def difference(self) -> tuple[Tensor, int]:
        """Distorted minus reference, (N, 3, H, W), contiguous, and the value in it that means 1.

        Integers of 8 bits are subtracted as float32 and others as float64, which hold the
        differences exactly: integers of unequal scales are brought to a common one, below 2^32.
        """
        x_white, y_white = self.references.white, self.distorted.white
        # Planes are faster than channels last for all that follows, which combines the channels.
        x, y = (images.samples.contiguous() for images in (self.references, self.distorted))
        if x.is_floating_point() or y.is_floating_point():
            dtype = torch.promote_types(torch.promote_types(x.dtype, y.dtype), torch.float32)
            return y.to(dtype) / y_white - x.to(dtype) / x_white, 1
        if x_white == y_white:
            return y.to(torch.float32 if x_white == 255 else torch.float64).sub_(x), x_white
        return (y.double() * x_white).sub_(x.double() * y_white), x_white * y_white


def pad_to_min_side(images: Tensor, side: int, rows: int | None = None) -> Tensor:
    """Pad images whose sides are below `side`, by repeating the last row and column.

    Args:
        images: (N, C, H, W).
        side: smallest height and width of the result, in pixels.
        rows: smallest height, if it is another one.

    Returns:
        (N, C, max(H, side), max(W, side)); the images themselves where they are large enough.
    """
    height, width = images.shape[-2:]
    right, bottom = max(0, side - width), max(0, (side if rows is None else rows) - height)
    if right or bottom:
        images = F.pad(images, (0, right, 0, bottom), mode="replicate")
        return images.contiguous(memory_format=torch.channels_last)
    return images
