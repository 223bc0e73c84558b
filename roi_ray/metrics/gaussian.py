"""Local means over SSIM's Gaussian window."""

import functools

import torch
import torch.nn.functional as F
from torch import Tensor

WINDOW = 11
MARGIN = WINDOW // 2
"""Rows and columns that the means have less than the images on each side."""

_SIGMA = 1.5
_BAND_COLUMNS = 16


def gaussian_means(images: Tensor) -> Tensor:
    """Average over the Gaussian window, whole windows only: (..., H, W) -> (..., H-10, W-10)."""
    if images.device.type != "cpu":
        return gaussian_means_at_once(images)
    *shape, height, width = images.shape
    planes = images.reshape(-1, height, width)
    # Filter the columns: each is a channel, so that a plane in memory is channels last.
    taps = gaussian_taps(images.device).to(images).view(1, 1, WINDOW, 1).expand(width, -1, -1, -1)
    filtered = F.conv2d(planes[:, :, None].permute(0, 3, 1, 2), taps, groups=width)
    # Filter the rows: each step computes _BAND_COLUMNS neighbouring outputs as its channels, then
    # strides past them. In channels last memory these are columns again.
    lines = filtered.permute(0, 2, 3, 1).reshape(1, 1, -1, width)
    border = _BAND_COLUMNS - 1  # zeros that fill the step of the last columns
    band = _BAND.to(images)
    steps = F.conv2d(lines, band, stride=(1, _BAND_COLUMNS), padding=(0, border))
    means = steps.permute(0, 2, 3, 1).reshape(*shape, height - WINDOW + 1, -1)
    return means[..., border : border + width - WINDOW + 1]


def gaussian_means_at_once(images: Tensor) -> Tensor:
    """Compute `gaussian_means` as two convolutions with one channel per plane."""
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


def _band_matrix() -> Tensor:
    """Return `_BAND_COLUMNS` rows that each have the window one column further right."""
    band = torch.zeros(_BAND_COLUMNS, _BAND_COLUMNS + WINDOW - 1)
    for offset, tap in enumerate(gaussian_taps(torch.device("cpu")).tolist()):
        band.diagonal(offset).fill_(tap)
    return band.view(_BAND_COLUMNS, 1, 1, -1)


_BAND = _band_matrix()
