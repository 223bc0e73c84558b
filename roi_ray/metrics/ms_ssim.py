"""Multi-scale structural similarity (Wang, Simoncelli and Bovik, Asilomar 2003).

The work is split, because in a sweep one reference meets many distorted images:
`filter_reference` runs once per reference, `similarity_maps` once per distorted image, and
`combine_scales` turns the maps' means, over the whole image or under a mask, into the number.
`ms_ssim` does all three.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from roi_ray.errors import ImageTooSmall
from roi_ray.metrics.gaussian import (
    MARGIN,
    WINDOW,
    gaussian_means,
    gaussian_means_at_once,
    gaussian_taps,
)
from roi_ray.metrics.images import ImagePair, Images
from roi_ray.metrics.metric import Metric, compute_metric
from roi_ray.metrics.roi import GaussianView
from roi_ray.runtime.triton import has_triton
from roi_ray.settings import Weighting

SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)

_C1 = 0.01**2
_C2 = 0.03**2
_STRIP_PIXELS = 1 << 16
_MIN_STRIP_ROWS = 32


def ms_ssim(
    x: Tensor, y: Tensor, mask: Tensor | None = None, weighting: Weighting = "mean"
) -> Tensor:
    """Compute MS-SSIM of sRGB images, per channel, averaged over R, G and B.

    Images whose smaller side is below 161 pixels have fewer than five scales; the weights of those
    that fit are renormalised. At five scales the number equals `pytorch_msssim.ms_ssim`.

    Args:
        x: reference, (3, H, W) or (N, 3, H, W); floating-point in [0, 1], or uint8 in 0..255.
        y: distorted, likewise; N images are compared with one reference, or each with its own.
        mask: region of interest, (H, W) or (N, H, W); floating-point in [0, 1], uint8 in 0..255 or
            bool. None for the whole image. It weights the similarity at each scale, averaged over
            SSIM's window around each position.
        weighting: under a mask R of a similarity map L, `mean` is mean(L R), `normalised` is
            sum(L R) / sum(R).

    Returns:
        float64, () or (N,), in [0, 1]; higher is better, 1 for identical images; NaN where a mask
        has no region of interest (mean below 1e-6). No gradients.

    Raises:
        ImageTooSmall: a side is below 11 pixels.
        UsageError: a tensor's type, shape or range is wrong.
        SizeMismatch: the images, or the mask, have different heights or widths.

    Examples:
        >>> import torch
        >>> x = torch.linspace(0, 1, 64).expand(3, 64, 64)
        >>> ms_ssim(x, x).round(decimals=4)
        tensor(1., dtype=torch.float64)
        >>> ms_ssim(x, x * 0.5).round(decimals=2)
        tensor(0.7500, dtype=torch.float64)
    """
    return compute_metric(METRIC, x, y, mask, weighting)["ms_ssim"]


class _MsSsim(Metric):
    name = "ms_ssim"
    mask_view = GaussianView()

    def prepare(self, references: Images) -> Sequence[Tensor]:
        moments = filter_reference(references.values.contiguous())
        return [tensor for scale in moments for tensor in (scale.image, scale.mean, scale.variance)]

    def compute_maps(self, prepared: Sequence[Tensor], pair: ImagePair) -> Iterable[Tensor]:
        scales = zip(prepared[0::3], prepared[1::3], prepared[2::3], strict=True)
        moments = [Moments(*scale) for scale in scales]
        return similarity_maps(moments, pair.distorted.values.contiguous())

    def combine(self, means: list[Tensor]) -> dict[str, Tensor]:
        return {"ms_ssim": combine_scales(means)}


METRIC = _MsSsim()


@dataclass(frozen=True)
class Moments:
    """References at one scale, with their local moments.

    Attributes:
        image: (N, 3, H, W), in [0, 1].
        mean: local means over the window, (N, 3, H - 10, W - 10).
        variance: local variances, of the same shape.
    """

    image: Tensor
    mean: Tensor
    variance: Tensor

    def select(self, images: slice, start: int = 0, end: int | None = None) -> "Moments":
        """Select some of the references, and the rows `start` to `end` of their maps."""
        image_end = None if end is None else end + 2 * MARGIN
        return Moments(
            self.image[images, :, start:image_end],
            self.mean[images, :, start:end],
            self.variance[images, :, start:end],
        )


def scales_that_fit(height: int, width: int) -> int:
    """Count the scales at which the smaller side still holds the window; 5 from 161 pixels on.

    Raises:
        ImageTooSmall: the window does not fit even at full resolution.
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
    """Compute the local moments of references at every scale that fits.

    Args:
        reference: float32, (N, 3, H, W), in [0, 1].

    Returns:
        one entry per scale, the finest first.

    Raises:
        ImageTooSmall: a side is smaller than the window.
    """
    moments = []
    scales = scales_that_fit(*reference.shape[-2:])
    for scale in range(scales):
        if scale:
            reference = _downsample(reference)
        mean, square = gaussian_means(torch.stack([reference, reference * reference]))
        moments.append(Moments(reference, mean, square.addcmul_(mean, mean, value=-1)))
    return moments


def similarity_maps(reference: list[Moments], distorted: Tensor) -> list[Tensor]:
    """Compute the L maps: contrast-structure at all scales but the last, full SSIM at the last.

    Args:
        reference: output of `filter_reference` for one reference, or for one per distorted image.
        distorted: float32, (N, 3, H, W), in [0, 1].

    Returns:
        one (N, 3, h, w) per scale, in [-1, 1], higher is better; h and w are the scale's size less
        `MARGIN` on each side.
    """
    maps = []
    last = len(reference) - 1
    for scale, x in enumerate(reference):
        if scale:
            distorted = _downsample(distorted)
        on_cpu = distorted.device.type == "cpu"
        similarity = _similarity_in_strips if on_cpu else _similarity_at_once
        maps.append(similarity(x, distorted, scale == last))
    return maps


def _similarity_in_strips(x: Moments, y: Tensor, luminance: bool) -> Tensor:
    """Compute contrast-structure, (N, 3, h, w), on a CPU; with `luminance`, full SSIM.

    Strips of rows keep intermediate results in the cache.
    """
    height, width = x.mean.shape[-2:]
    similarity = y.new_empty(*y.shape[:2], height, width)
    rows = max(_MIN_STRIP_ROWS, _STRIP_PIXELS // width)
    for number in range(len(y)):
        one_image = slice(number, number + 1)
        for start in range(0, height, rows):
            end = min(start + rows, height)
            strip = x.select(one_image if len(x.image) > 1 else slice(None), start, end)
            image = y[one_image, :, start : end + 2 * MARGIN]
            inputs = image.new_empty(3, *image.shape)
            inputs[0] = image
            torch.mul(image, image, out=inputs[1])
            torch.mul(image, strip.image, out=inputs[2])
            means = gaussian_means(inputs).unbind()
            similarity[one_image, :, start:end] = _ssim(
                means, strip.mean, strip.variance, luminance
            )
    return similarity


def _similarity_at_once(x: Moments, y: Tensor, luminance: bool) -> Tensor:
    """Compute the same map on a GPU, where few large kernels are faster than many small ones."""
    if has_triton():
        from roi_ray.metrics.triton import ssim

        constants = (_C1, _C2)
        taps = gaussian_taps(y.device)
        return ssim.similarity_map(x.image, y, x.mean, x.variance, taps, constants, luminance)
    filtered = gaussian_means_at_once(torch.stack([y, y * y, y * x.image]))
    return _ssim(filtered.unbind(), x.mean, x.variance, luminance)


def _ssim(
    filtered: Sequence[Tensor], x_mean: Tensor, x_variance: Tensor, luminance: bool
) -> Tensor:
    """Compute SSIM from the local means of `y`, `y y` and `x y`, which are overwritten."""
    mean, square, product = filtered
    variance = square.addcmul_(mean, mean, value=-1)
    covariance = product.addcmul_(x_mean, mean, value=-1)
    similarity: Tensor = covariance.mul_(2).add_(_C2).div_(variance.add_(x_variance).add_(_C2))
    if luminance:
        means = x_mean * mean
        similarity *= (2 * means + _C1) / (x_mean * x_mean + mean * mean + _C1)
    return similarity


def combine_scales(means: list[Tensor]) -> Tensor:
    """Multiply the means of all scales, each to the power of Wang's weight; average the channels.

    Where fewer than five scales fit, their weights are renormalised. A negative mean counts as 0,
    as it has no real power. In flat areas float32 leaves so few digits of a variance that a mean
    may come out above 1, by up to 1e-3; it counts as 1.

    Args:
        means: spatial means of the maps, one (N, 3) per scale.

    Returns:
        (N,), in [0, 1]; higher is better; 1 for identical images (to 1e-7).
    """
    weights = SCALE_WEIGHTS[: len(means)]
    total = sum(weights) if len(means) < len(SCALE_WEIGHTS) else 1.0
    product = torch.ones_like(means[0])
    for mean, weight in zip(means, weights, strict=True):
        product *= mean.clamp(0, 1) ** (weight / total)
    return product.mean(dim=-1)


def _downsample(image: Tensor) -> Tensor:
    """Average 2 x 2 pixels; an odd side first gets a border of zeros, as in `pytorch_msssim`."""
    odd_rows, odd_columns = (side % 2 for side in image.shape[-2:])
    if odd_rows or odd_columns:
        # `pytorch_msssim` pads both sides and drops a window that is not full: the border is before
        # the first row or column.
        image = F.pad(image, (odd_columns, 0, odd_rows, 0))
    # Four times as fast on a CPU as `avg_pool2d`, which has no vector code for this layout.
    rows = image[..., 0::2, :] + image[..., 1::2, :]
    return (rows[..., 0::2] + rows[..., 1::2]).mul_(0.25)
