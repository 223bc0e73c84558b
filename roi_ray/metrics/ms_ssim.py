"""Multi-scale structural similarity (Wang, Simoncelli and Bovik, Asilomar 2003).

Split in two, because in a sweep one reference meets many distorted images: `prepare` filters the
reference once, `maps` does what is left for each distorted image. `combine` makes the number from
the maps' means, over the whole image or under a mask.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from roi_ray.errors import ImageTooSmall

SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
WINDOW = 11
MARGIN = WINDOW // 2
"""Pixels that the valid window loses on each side of a map."""

_SIGMA = 1.5
_C1 = 0.01**2
_C2 = 0.03**2
_BLOCK = 32
_STRIP_PIXELS = 1 << 17
_STRIP_ROWS = 32


@dataclass(frozen=True)
class Moments:
    """A reference at one scale, as far as SSIM needs it.

    Attributes:
        image: (N, 3, H, W), in [0, 1].
        mean: local means, (N, 3, H - 10, W - 10).
        variance: local variances, of the same shape.
    """

    image: Tensor
    mean: Tensor
    variance: Tensor

    def of(self, images: slice, start: int = 0, end: int | None = None) -> "Moments":
        """Those of some images; of them, rows `start` to `end` of the map."""
        below = None if end is None else end + 2 * MARGIN
        return Moments(
            self.image[images, :, start:below],
            self.mean[images, :, start:end],
            self.variance[images, :, start:end],
        )


def scales_that_fit(height: int, width: int) -> int:
    """Scales at which the smaller side still holds the window: 5 where it is 161 or more.

    Raises:
        ImageTooSmall: it does not hold it even at full resolution.
    """
    side = min(height, width)
    scales = 0
    while side >= WINDOW and scales < len(SCALE_WEIGHTS):
        scales += 1
        side = (side + 1) // 2
    if scales == 0:
        raise ImageTooSmall(f"{width} x {height} is smaller than SSIM's {WINDOW} x {WINDOW} window")
    return scales


def prepare(reference: Tensor) -> list[Moments]:
    """Filter references at every scale that fits.

    Args:
        reference: float32, (N, 3, H, W), in [0, 1].

    Returns:
        one entry a scale, the finest first.

    Raises:
        ImageTooSmall: a side is smaller than the window.
    """
    moments = []
    scales = scales_that_fit(*reference.shape[-2:])
    for scale in range(scales):
        if scale:
            reference = _half(reference)
        mean, square = _window(torch.stack([reference, reference * reference]))
        moments.append(Moments(reference, mean, square.addcmul_(mean, mean, value=-1)))
    return moments


def maps(reference: list[Moments], distorted: Tensor) -> list[Tensor]:
    """The L maps: contrast-structure at all scales but the last, full SSIM at the last.

    Args:
        reference: from `prepare`: of one image, or of as many as there are distorted ones.
        distorted: float32, (N, 3, H, W), in [0, 1].

    Returns:
        one (N, 3, h, w) a scale, in [-1, 1], higher is better; h and w are the scale's size less
        `MARGIN` on each side.
    """
    result = []
    last = len(reference) - 1
    for scale, x in enumerate(reference):
        if scale:
            distorted = _half(distorted)
        height, width = x.mean.shape[-2:]
        similarity = distorted.new_empty(*distorted.shape[:2], height, width)
        for some, rows in _pieces(len(distorted), height, width, distorted.device):
            start, end = rows
            part = x.of(slice(None) if len(x.image) == 1 else some, start, end)
            image = distorted[some, :, start : end + 2 * MARGIN]
            similarity[some, :, start:end] = _similarity(part, image, scale == last)
        result.append(similarity)
    return result


def _similarity(x: Moments, image: Tensor, luminance: bool) -> Tensor:
    """SSIM's contrast-structure, (N, 3, h, w); full SSIM with the luminance."""
    inputs = image.new_empty(3, *image.shape)
    inputs[0] = image
    torch.mul(image, image, out=inputs[1])
    torch.mul(image, x.image, out=inputs[2])
    mean, square, product = _window(inputs)
    variance = square.addcmul_(mean, mean, value=-1)
    covariance = product.addcmul_(x.mean, mean, value=-1)
    similarity: Tensor = covariance.mul_(2).add_(_C2).div_(variance.add_(x.variance).add_(_C2))
    if luminance:
        means = x.mean * mean
        similarity *= (2 * means + _C1) / (x.mean * x.mean + mean * mean + _C1)
    return similarity


def combine(means: list[Tensor]) -> Tensor:
    """The product over scales, each under Wang's weight, averaged over channels.

    The weights are renormalised where fewer than five scales fit. A negative mean counts as 0, as
    it has no real power.

    Args:
        means: the maps' means, one (N, 3) a scale.

    Returns:
        (N,), in [0, 1]; higher is better; 1 for identical images.
    """
    weights = SCALE_WEIGHTS[: len(means)]
    total = sum(weights) if len(means) < len(SCALE_WEIGHTS) else 1.0
    product = torch.ones_like(means[0])
    for mean, weight in zip(means, weights, strict=True):
        product *= mean.relu() ** (weight / total)
    return product.mean(dim=-1)


def _half(image: Tensor) -> Tensor:
    """2 x 2 mean pooling; an odd side first gets a border of zeros, as in `pytorch_msssim`."""
    odd_rows, odd_columns = (side % 2 for side in image.shape[-2:])
    if odd_rows or odd_columns:
        # It pads both sides and drops what does not fill a window, so the border comes before.
        image = F.pad(image, (odd_columns, 0, odd_rows, 0))
    # Four times as fast as `avg_pool2d`, which a CPU has no vector code for in this layout.
    pairs = image[..., 0::2, :] + image[..., 1::2, :]
    return (pairs[..., 0::2] + pairs[..., 1::2]).mul_(0.25)


def _pieces(
    count: int, height: int, width: int, device: torch.device
) -> Iterator[tuple[slice, tuple[int, int]]]:
    """Images, and rows of their maps, that are worked on at once."""
    if device.type != "cpu":
        yield slice(None), (0, height)
        return
    # So that what is between fits into a cache.
    rows = max(_STRIP_ROWS, _STRIP_PIXELS // width)
    for image in range(count):
        for start in range(0, height, rows):
            yield slice(image, image + 1), (start, min(start + rows, height))


def _window(images: Tensor) -> Tensor:
    """Gaussian means over the window, valid positions only: (..., H, W) -> (..., H-10, W-10)."""
    height, width = (side - 2 * MARGIN for side in images.shape[-2:])
    planes = images.reshape(-1, *images.shape[-2:])
    if images.device.type != "cpu":
        count = len(planes)
        column = _KERNEL.to(images, non_blocking=True).view(1, 1, WINDOW, 1).expand(count, -1, -1, -1)
        tall = F.conv2d(planes[None], column, groups=count)
        return F.conv2d(tall, column.mT, groups=count).view(*images.shape[:-2], height, width)
    # A product with a band of the kernel, a block of rows (columns) at a time. Of all that a CPU
    # has for one channel (convolutions, shifted sums) this is the fastest, several times so.
    band = _BAND.to(images)
    tall = planes.new_empty(len(planes), height, planes.shape[2])
    for start, rows, taps in _blocks(height):
        block = band[:rows, :taps].expand(len(planes), -1, -1)
        torch.bmm(block, planes[:, start : start + taps], out=tall[:, start : start + rows])

    lines = tall.view(-1, tall.shape[2])
    means = lines.new_empty(len(lines), width)
    for start, columns, taps in _blocks(width):
        block = band[:columns, :taps].T
        torch.mm(lines[:, start : start + taps], block, out=means[:, start : start + columns])
    return means.view(*images.shape[:-2], height, width)


def _blocks(length: int) -> Iterator[tuple[int, int, int]]:
    """Where a block begins, how many means it has, and how many values those are made from."""
    for start in range(0, length, _BLOCK):
        means = min(_BLOCK, length - start)
        yield start, means, means + 2 * MARGIN


def _kernel() -> Tensor:
    distance = torch.arange(WINDOW, dtype=torch.float32) - MARGIN
    kernel = torch.exp(-(distance**2) / (2 * _SIGMA**2))
    return kernel / kernel.sum()


def _band() -> Tensor:
    """The Gaussian kernel in each of `_BLOCK` rows, one column further right in each."""
    band = torch.zeros(_BLOCK, _BLOCK + 2 * MARGIN)
    for offset, tap in enumerate(_KERNEL.tolist()):
        band.diagonal(offset).fill_(tap)
    return band


_KERNEL = _kernel()
_BAND = _band()
