"""Local means over SSIM's Gaussian window."""

import functools

import torch
import torch.nn.functional as F
from torch import Tensor

WINDOW = 11
MARGIN = WINDOW // 2
"""Rows and columns that the means have less than the images on each side."""

_SIGMA = 1.5


def gaussian_means(images: Tensor) -> Tensor:
    """Average over the Gaussian window, whole windows only: (..., H, W) -> (..., H-10, W-10)."""
    planes = images.reshape(1, -1, *images.shape[-2:])
    count = planes.shape[1]
    column = gaussian_taps(images.device).view(1, 1, WINDOW, 1).expand(count, -1, -1, -1)
    means = F.conv2d(F.conv2d(planes, column, groups=count), column.mT, groups=count)
    return means.view(*images.shape[:-2], *means.shape[-2:])


def exact_gaussian_means(images: Tensor) -> Tensor:
    """Compute `gaussian_means` in float64."""
    return filter_exactly(images, gaussian_taps(torch.device("cpu"), torch.float64))


def filter_exactly(images: Tensor, taps: Tensor) -> Tensor:
    """Filter rows and columns in float64, whole windows only.

    The images are shifted and added, because torch's convolutions of float64 on a CPU copy an image
    once per tap.

    Args:
        images: (..., H, W).
        taps: (T,).

    Returns:
        float64, (..., H - T + 1, W - T + 1).
    """
    first, *others = taps.tolist()
    filtered = images.double()
    for dim in (-2, -1):
        source, length = filtered, filtered.shape[dim] - len(others)
        filtered = source.narrow(dim, 0, length) * first
        for shift, tap in enumerate(others, start=1):
            filtered.add_(source.narrow(dim, shift, length), alpha=tap)
    return filtered


@functools.cache
def gaussian_taps(device: torch.device, dtype: torch.dtype = torch.float32) -> Tensor:
    """Return the Gaussian window, (11,); its sum is 1."""
    distance = torch.arange(WINDOW, dtype=dtype) - MARGIN
    kernel = torch.exp(-(distance**2) / (2 * _SIGMA**2))
    return (kernel / kernel.sum()).to(device)
