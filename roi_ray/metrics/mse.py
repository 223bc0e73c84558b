"""Mean squared error, and the peak signal-to-noise ratio made from it."""

import torch
from torch import Tensor

PSNR_CAP = 100.0
"""dB of identical images. Tools disagree on it, so it is stated here and the MSE is kept beside."""


def squared_error_map(reference: Tensor, distorted: Tensor) -> Tensor:
    """The L map of MSE: squared error of sRGB values, averaged over R, G and B.

    Args:
        reference: uint8, (1, 3, H, W).
        distorted: uint8, (N, 3, H, W).

    Returns:
        float32, (N, H, W), in [0, 1], for sRGB values in [0, 1]; lower is better.
    """
    # Differences of 8-bit values, their squares and the sum of three are whole numbers below 2^24:
    # float32 holds them exactly, and the only rounding is the division.
    difference = distorted.float() - reference.float()
    red, green, blue = difference.square_().unbind(1)
    return (red + green).add_(blue).div_(3 * 255**2)


def psnr_from_mse(mse: Tensor) -> Tensor:
    """Peak signal-to-noise ratio, `-10 log10(mse)`.

    Args:
        mse: mean squared error for values in [0, 1].

    Returns:
        dB, at most `PSNR_CAP`, which identical images get; higher is better.
    """
    return (-10 * torch.log10(mse)).clamp(max=PSNR_CAP)
