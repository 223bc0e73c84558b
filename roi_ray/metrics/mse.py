"""Mean squared error, and the peak signal-to-noise ratio computed from it."""

import torch
from torch import Tensor

from roi_ray.metrics.inputs import check_images, to_unit_range
from roi_ray.metrics.roi import mean_in_region
from roi_ray.settings import Weighting

PSNR_CAP = 100.0
"""PSNR of identical images, in dB. Tools disagree on it (60, 99, infinite, ...)."""


@torch.no_grad()
def mse(x: Tensor, y: Tensor, mask: Tensor | None = None, weighting: Weighting = "mean") -> Tensor:
    """Compute the mean squared error of sRGB values in [0, 1], over R, G and B.

    Args:
        x: reference, (3, H, W) or (N, 3, H, W); floating-point in [0, 1], or uint8 in 0..255.
            Samples of n bits, n above 8, are divided by 2^n - 1 in float64.
        y: distorted, likewise; N images are compared with one reference, or each with its own.
        mask: region of interest, (H, W) or (N, H, W); floating-point in [0, 1], uint8 in 0..255 or
            bool. None for the whole image.
        weighting: under a mask R of an error map L, `mean` is mean(L R), `normalised` is
            sum(L R) / sum(R).

    Returns:
        float64, () or (N,), in [0, 1]; lower is better, 0 for identical images. No gradients.

    Raises:
        UsageError: a tensor's type, shape or range is wrong.
        SizeMismatch: the images, or the mask, have different heights or widths.

    Examples:
        >>> import torch
        >>> x = torch.full((3, 32, 32), 0.5)
        >>> mse(x, x + 0.25)
        tensor(0.0625, dtype=torch.float64)
        >>> y = x.clone()
        >>> y[:, :, :8] += 0.25
        >>> left = torch.zeros(32, 32)
        >>> left[:, :16] = 1
        >>> mse(x, y, left)
        tensor(0.0156, dtype=torch.float64)
        >>> mse(x, y, left, weighting="normalised")
        tensor(0.0312, dtype=torch.float64)
    """
    references, images = check_images(x, y)
    if references.dtype == images.dtype == torch.uint8:
        errors = squared_error_map(references, images)
    else:
        dtype = torch.promote_types(torch.promote_types(x.dtype, y.dtype), torch.float32)
        references, images = (to_unit_range(i, dtype) for i in (references, images))
        errors = (images - references).square().mean(1)
    return mean_in_region(errors, images, mask, weighting).view(y.shape[:-3])


@torch.no_grad()
def psnr(x: Tensor, y: Tensor, mask: Tensor | None = None, weighting: Weighting = "mean") -> Tensor:
    """Compute the peak signal-to-noise ratio, -10 log10(MSE), of sRGB images.

    Args:
        x: reference, see `mse`.
        y: distorted, see `mse`.
        mask: region of interest, see `mse`.
        weighting: see `mse`.

    Returns:
        dB, float64, () or (N,); higher is better, 100 (`PSNR_CAP`) at most. No gradients.

    Raises:
        UsageError, SizeMismatch: see `mse`.

    Examples:
        >>> import torch
        >>> x = torch.full((3, 32, 32), 0.5)
        >>> psnr(x, x + 0.1)
        tensor(20.0000, dtype=torch.float64)
        >>> psnr(x, x)
        tensor(100., dtype=torch.float64)
    """
    return psnr_from_mse(mse(x, y, mask, weighting))


def squared_error_map(reference: Tensor, distorted: Tensor) -> Tensor:
    """Compute the L map of MSE of 8-bit images: squared errors, averaged over R, G and B.

    Args:
        reference: uint8, (1 or N, 3, H, W).
        distorted: uint8, (N, 3, H, W).

    Returns:
        float32, (N, H, W), in [0, 1] for sRGB values in [0, 1]; lower is better.
    """
    # Differences of 8-bit values, their squares and the sum of three are integers below 2^24,
    # which float32 holds exactly: only the division rounds.
    difference = distorted.float() - reference.float()
    red, green, blue = difference.square_().unbind(1)
    return (red + green).add_(blue).div_(3 * 255**2)


def squared_error_map_of_depths(
    reference: Tensor, distorted: Tensor, bit_depths: tuple[int, int]
) -> Tensor:
    """Compute the L map of MSE of images of any bit depths: x / (2^a - 1) against y / (2^b - 1).

    Args:
        reference: samples as integers, 0..2^a - 1, (1 or N, 3, H, W).
        distorted: samples as integers, 0..2^b - 1, (N, 3, H, W).
        bit_depths: a and b, at most 16.

    Returns:
        float64, (N, H, W), in [0, 1] for sRGB values in [0, 1]; lower is better.
    """
    x_white, y_white = (2**depth - 1 for depth in bit_depths)
    errors = distorted.new_zeros(len(distorted), *distorted.shape[2:], dtype=torch.float64)
    # Brought to the common white x_white * y_white, samples and differences are integers below
    # 2^32, which float64 holds exactly. One channel at a time takes a third of the memory.
    for x, y in zip(reference.unbind(1), distorted.unbind(1), strict=True):
        difference = (y.double() * x_white).sub_(x.double() * y_white)
        errors.addcmul_(difference, difference)
    return errors.div_(3.0 * (x_white * y_white) ** 2)


def psnr_from_mse(mse: Tensor) -> Tensor:
    """Convert mean squared errors of values in [0, 1] to PSNR, `-10 log10(mse)`.

    Args:
        mse: any shape, in [0, 1].

    Returns:
        dB, of the same shape, at most `PSNR_CAP`; higher is better.
    """
    return (-10 * torch.log10(mse)).clamp(max=PSNR_CAP)
