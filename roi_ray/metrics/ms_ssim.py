"""Multi-scale structural similarity (Wang, Simoncelli and Bovik, Asilomar 2003).

The work is split, because in a sweep one reference meets many distorted images:
`filter_reference` runs once per reference, `similarity_maps` once per distorted image, and
`combine_scales` turns the maps' means, over the whole image or under a mask, into the number.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from roi_ray.errors import ImageTooSmall
from roi_ray.runtime.triton import has_triton

SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
WINDOW = 11
MARGIN = WINDOW // 2
"""Pixels that the valid window loses on each side of a map."""

_SIGMA = 1.5
_C1 = 0.01**2
_C2 = 0.03**2
_COLUMNS = 16
_STRIP_PIXELS = 1 << 16
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


def filter_reference(reference: Tensor) -> list[Moments]:
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


def similarity_maps(reference: list[Moments], distorted: Tensor) -> list[Tensor]:
    """The L maps: contrast-structure at all scales but the last, full SSIM at the last.

    Args:
        reference: from `filter_reference`: of one image, or of as many as there are distorted ones.
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
        of = _similarity_in_strips if distorted.device.type == "cpu" else _similarity_at_once
        result.append(of(x, distorted, scale == last))
    return result


def _similarity_in_strips(x: Moments, y: Tensor, luminance: bool) -> Tensor:
    """SSIM's contrast-structure, (N, 3, h, w), full SSIM with the luminance: for a CPU.

    What is between fits into a cache.
    """
    height, width = x.mean.shape[-2:]
    similarity = y.new_empty(*y.shape[:2], height, width)
    rows = max(_STRIP_ROWS, _STRIP_PIXELS // width)
    for number in range(len(y)):
        one = slice(number, number + 1)
        for start in range(0, height, rows):
            end = min(start + rows, height)
            part = x.of(one if len(x.image) > 1 else slice(None), start, end)
            image = y[one, :, start : end + 2 * MARGIN]
            inputs = image.new_empty(3, *image.shape)
            inputs[0] = image
            torch.mul(image, image, out=inputs[1])
            torch.mul(image, part.image, out=inputs[2])
            means = _window(inputs).unbind()
            similarity[one, :, start:end] = _ssim(means, part.mean, part.variance, luminance)
    return similarity


def _similarity_at_once(x: Moments, y: Tensor, luminance: bool) -> Tensor:
    """The same for a GPU, which has many small kernels to fear and no cache to fit into."""
    if has_triton():
        from roi_ray.metrics.triton import ssim

        constants = (_C1, _C2)
        taps = _taps(y.device)
        return ssim.similarity(x.image, y, x.mean, x.variance, taps, constants, luminance)
    filtered = _convolved(torch.stack([y, y * y, y * x.image]))
    return _ssim(filtered.unbind(), x.mean, x.variance, luminance)


def _ssim(
    filtered: Sequence[Tensor], x_mean: Tensor, x_variance: Tensor, luminance: bool
) -> Tensor:
    """From the local means of `y`, `y y` and `x y`, which are overwritten."""
    mean, square, product = filtered
    variance = square.addcmul_(mean, mean, value=-1)
    covariance = product.addcmul_(x_mean, mean, value=-1)
    similarity: Tensor = covariance.mul_(2).add_(_C2).div_(variance.add_(x_variance).add_(_C2))
    if luminance:
        means = x_mean * mean
        similarity *= (2 * means + _C1) / (x_mean * x_mean + mean * mean + _C1)
    return similarity


def combine_scales(means: list[Tensor]) -> Tensor:
    """The product over scales, each under Wang's weight, averaged over channels.

    The weights are renormalised where fewer than five scales fit. A negative mean counts as 0, as
    it has no real power. In flat areas float32 leaves so little of a variance that a mean may come
    out above 1, by up to 1e-3; it counts as 1.

    Args:
        means: the maps' means, one (N, 3) a scale.

    Returns:
        (N,), in [0, 1]; higher is better; 1 for identical images (to 1e-7).
    """
    weights = SCALE_WEIGHTS[: len(means)]
    total = sum(weights) if len(means) < len(SCALE_WEIGHTS) else 1.0
    product = torch.ones_like(means[0])
    for mean, weight in zip(means, weights, strict=True):
        product *= mean.clamp(0, 1) ** (weight / total)
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


def _window(images: Tensor) -> Tensor:
    """Gaussian means over the window, valid positions only: (..., H, W) -> (..., H-10, W-10)."""
    if images.device.type != "cpu":
        return _convolved(images)
    *shape, height, width = images.shape
    planes = images.reshape(-1, height, width)
    # Down the columns: each is a channel, so that a plane, as it lies there, has its channels last.
    taps = _taps(images.device).to(images).view(1, 1, WINDOW, 1).expand(width, -1, -1, -1)
    tall = F.conv2d(planes[:, :, None].permute(0, 3, 1, 2), taps, groups=width)
    # Along the rows: some columns at once are the channels of what is made, before it strides past
    # them. With channels last, they lie as columns again.
    lines = tall.permute(0, 2, 3, 1).reshape(1, 1, -1, width)
    border = _COLUMNS - 1  # of zeros, so that the last columns are not left over
    band = _BAND.to(images)
    means = F.conv2d(lines, band, stride=(1, _COLUMNS), padding=(0, border)).permute(0, 2, 3, 1)
    means = means.reshape(*shape, height - 2 * MARGIN, -1)
    return means[..., border : border + width - 2 * MARGIN]


def _convolved(images: Tensor) -> Tensor:
    """The same as two convolutions, each plane being a channel."""
    planes = images.reshape(1, -1, *images.shape[-2:])
    count = planes.shape[1]
    column = _taps(images.device).view(1, 1, WINDOW, 1).expand(count, -1, -1, -1)
    means = F.conv2d(F.conv2d(planes, column, groups=count), column.mT, groups=count)
    return means.view(*images.shape[:-2], *means.shape[-2:])


@functools.cache
def _taps(device: torch.device) -> Tensor:
    """The Gaussian window, float32, (11,)."""
    distance = torch.arange(WINDOW, dtype=torch.float32) - MARGIN
    kernel = torch.exp(-(distance**2) / (2 * _SIGMA**2))
    return (kernel / kernel.sum()).to(device)


def _band() -> Tensor:
    """The window in each of `_COLUMNS` rows, one column further right in each."""
    band = torch.zeros(_COLUMNS, _COLUMNS + 2 * MARGIN)
    for offset, tap in enumerate(_taps(torch.device("cpu")).tolist()):
        band.diagonal(offset).fill_(tap)
    return band.view(_COLUMNS, 1, 1, -1)


_BAND = _band()
