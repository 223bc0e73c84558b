"""SSIM at one scale, from images and the local moments of the references."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from roi_ray.metrics.gaussian import MARGIN, gaussian_means, gaussian_taps
from roi_ray.runtime.compiled import has_kernels
from roi_ray.runtime.triton import has_triton

C1 = 0.01**2
C2 = 0.03**2


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

        constants = (C1, C2)
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
    similarity: Tensor = covariance.mul_(2).add_(C2).div_(variance.add_(x_variance).add_(C2))
    if luminance:
        means = x_mean * mean
        similarity *= (2 * means + C1) / (x_mean * x_mean + mean * mean + C1)
    return similarity
