"""Multi-scale structural similarity (Wang, Simoncelli and Bovik, Asilomar 2003).

Split in two, because in a sweep one reference meets many distorted images: `prepare` filters the
reference once, `maps` does what is left for each distorted image. `combine` makes the number from
the maps' means, over the whole image or under a mask.
"""

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
        moments.append(Moments(reference, mean, square - mean * mean))
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
    for scale, x in enumerate(reference):
        if scale:
            distorted = _half(distorted)
        mean, square, product = _window(
            torch.stack([distorted, distorted * distorted, distorted * x.image])
        )
        means = x.mean * mean
        variance = square - mean * mean
        covariance = product - means
        similarity = (2 * covariance + _C2) / (x.variance + variance + _C2)
        if scale == len(reference) - 1:
            similarity = similarity * (2 * means + _C1) / (x.mean * x.mean + mean * mean + _C1)
        result.append(similarity)
    return result


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
    padding = [side % 2 for side in image.shape[-2:]]
    return F.avg_pool2d(image, kernel_size=2, padding=padding)


def _window(images: Tensor) -> Tensor:
    """Gaussian means over the window, valid positions only: (..., H, W) -> (..., H-10, W-10)."""
    # Eleven shifted sums a direction: faster on a CPU than any convolution it has for one channel.
    for dim in (-2, -1):
        length = images.shape[dim] - WINDOW + 1
        total = images.narrow(dim, 0, length) * _KERNEL[0]
        for offset, tap in enumerate(_KERNEL[1:], start=1):
            total.add_(images.narrow(dim, offset, length), alpha=tap)
        images = total
    return images


def _gaussian() -> list[float]:
    distance = torch.arange(WINDOW, dtype=torch.float32) - MARGIN
    kernel = torch.exp(-(distance**2) / (2 * _SIGMA**2))
    return [float(tap) for tap in kernel / kernel.sum()]


_KERNEL = _gaussian()
