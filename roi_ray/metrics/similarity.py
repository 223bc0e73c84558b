"""SSIM at one scale, from images and the local moments of the references."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from roi_ray.metrics.gaussian import MARGIN, gaussian_means, gaussian_taps
from roi_ray.metrics.roi import spatial_mean, whole_and_masked_means
from roi_ray.runtime.compiled import has_kernels
from roi_ray.runtime.triton import has_triton

_C1 = 0.01**2
_C2 = 0.03**2


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


def compute_moments(image: Tensor) -> Moments:
    """Compute the local moments of references at one scale.

    Args:
        image: float32, contiguous, (N, 3, H, W), in [0, 1]; H is 11 or more, or 0.
    """
    if not image.shape[-2]:
        empty = image[..., : -2 * MARGIN]
        return Moments(image, empty, empty)
    if has_kernels(image):
        from roi_ray.metrics.compiled import ssim

        return Moments(image, *ssim.compute_moments(image))
    mean, square = gaussian_means(torch.stack([image, image * image]))
    return Moments(image, mean, square.addcmul_(mean, mean, value=-1))


def average_similarity(
    x: Moments, y: Tensor, weights: Tensor | None, luminance: bool
) -> tuple[Tensor, Tensor]:
    """Average what `similarity_map` computes, on a CPU without writing it.

    Args:
        x: one reference, or one per distorted image.
        y: distorted, float32, contiguous, (N, 3, H, W), in [0, 1].
        weights: the mask's weights, float32, contiguous, (1 or N, H - 10, W - 10); None for no
            mask.
        luminance: whether to multiply by the luminance term.

    Returns:
        means over the whole map, and under the mask, (N, 3), float64; not a number if H is 0.
    """
    if y.shape[-2] and has_kernels(y):
        from roi_ray.metrics.compiled import ssim

        return ssim.average_similarity((x.image, x.mean, x.variance), y, weights, luminance)
    similarity = similarity_map(x, y, luminance)
    if weights is None:
        mean = spatial_mean(similarity)
        return mean, mean
    return whole_and_masked_means(similarity, weights)


def similarity_map(x: Moments, y: Tensor, luminance: bool) -> Tensor:
    """Compute SSIM's contrast-structure; with `luminance`, full SSIM.

    Args:
        x: one reference, or one per distorted image.
        y: distorted, float32, contiguous, (N, 3, H, W), in [0, 1].
        luminance: whether to multiply by the luminance term.

    Returns:
        (N, 3, h, w), in [-1, 1], higher is better; the size of `x.mean`.
    """
    if not y.shape[-2]:
        return y[..., : -2 * MARGIN]
    if y.is_cuda and has_triton():
        from roi_ray.metrics.triton import ssim

        constants = (_C1, _C2)
        taps = gaussian_taps(y.device)
        return ssim.similarity_map(x.image, y, x.mean, x.variance, taps, constants, luminance)
    filtered = gaussian_means(torch.stack([y, y * y, y * x.image]))
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
