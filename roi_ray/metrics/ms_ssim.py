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
        image: (3, H, W), in [0, 1].
        mean: local means, (3, H - 10, W - 10).
        variance: local variances, of the same shape.
    """

    image: Tensor
    mean: Tensor
    variance: Tensor


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
    """Filter a reference at every scale that fits.

    Args:
        reference: float32, (3, H, W), in [0, 1].

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
        reference: from `prepare`.
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
        similarity = distorted.new_empty(len(distorted), *x.mean.shape)
        for image, similar in zip(distorted, similarity, strict=True):
            for start, end in _strips(*x.mean.shape[-2:]):
                similar[:, start:end] = _similarity(
                    _rows(x, start, end), image[:, start : end + 2 * MARGIN], scale == last
                )
        result.append(similarity)
    return result


def _similarity(x: Moments, image: Tensor, luminance: bool) -> Tensor:
    """SSIM's contrast-structure of one image, (3, h, w); full SSIM with the luminance."""
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
    stacked = torch.stack(means).relu()
    weights = torch.tensor(SCALE_WEIGHTS[: len(means)], dtype=stacked.dtype, device=stacked.device)
    if len(means) < len(SCALE_WEIGHTS):
        weights = weights / weights.sum()
    return (stacked ** weights[:, None, None]).prod(dim=0).mean(dim=-1)


def _half(image: Tensor) -> Tensor:
    """2 x 2 mean pooling; an odd side first gets a border of zeros, as in `pytorch_msssim`."""
    odd_rows, odd_columns = (side % 2 for side in image.shape[-2:])
    if odd_rows or odd_columns:
        # It pads both sides and drops what does not fill a window, so the border comes before.
        image = F.pad(image, (odd_columns, 0, odd_rows, 0))
    # Four times as fast as `avg_pool2d`, which a CPU has no vector code for in this layout.
    pairs = image[..., 0::2, :] + image[..., 1::2, :]
    return (pairs[..., 0::2] + pairs[..., 1::2]).mul_(0.25)


def _rows(x: Moments, start: int, end: int) -> Moments:
    return Moments(
        x.image[:, start : end + 2 * MARGIN], x.mean[:, start:end], x.variance[:, start:end]
    )


def _strips(height: int, width: int) -> Iterator[tuple[int, int]]:
    """Rows of a map that are worked on at once, so that what is between fits into a cache."""
    rows = max(_STRIP_ROWS, _STRIP_PIXELS // width)
    for start in range(0, height, rows):
        yield start, min(start + rows, height)


def _window(images: Tensor) -> Tensor:
    """Gaussian means over the window, valid positions only: (..., H, W) -> (..., H-10, W-10)."""
    # A product with a band of the kernel, a block of rows (columns) at a time. Of all that a CPU
    # has for one channel (convolutions, shifted sums) this is the fastest, several times so.
    height, width = (side - 2 * MARGIN for side in images.shape[-2:])
    band = _BAND.to(images)
    planes = images.reshape(-1, *images.shape[-2:])
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


def _band() -> Tensor:
    """The Gaussian kernel in each of `_BLOCK` rows, one column further right in each."""
    distance = torch.arange(WINDOW, dtype=torch.float32) - MARGIN
    kernel = torch.exp(-(distance**2) / (2 * _SIGMA**2))
    kernel /= kernel.sum()
    band = torch.zeros(_BLOCK, _BLOCK + 2 * MARGIN)
    for offset, tap in enumerate(kernel.tolist()):
        band.diagonal(offset).fill_(tap)
    return band


_BAND = _band()
