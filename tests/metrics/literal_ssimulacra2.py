"""A literal, slow implementation of SSIMULACRA2 in float64, to compare the metric with.

It shares no code with roi_ray. The weights are those of the package `ssimulacra2`.
"""

import math

import numpy as np
from numpy.typing import NDArray
from ssimulacra2.ssimulacra2 import weights

Array = NDArray[np.float64]

_FREQUENCIES = [k * math.pi / 10 for k in (1, 3, 5)]
# The amplitudes of Charalampidis' three cosines for a standard deviation of 1.5, radius 5: cosines
# whose sum has the moments 1 and 2.25, nearest to the Fourier series of the Gaussian.
_AMPLITUDES = (0.17893914, 0.07272614, 0.01295582)
TAPS = [
    sum(a * math.cos(w * n) for a, w in zip(_AMPLITUDES, _FREQUENCIES, strict=True))
    for n in range(-4, 5)
]


def blur(plane: Array) -> Array:
    """Filter (H, W) by 9 x 9 taps, with zeros outside."""
    for axis in (0, 1):
        padded = np.pad(plane, [(4, 4) if axis == each else (0, 0) for each in (0, 1)])
        size = plane.shape[axis]
        plane = sum(tap * padded.take(range(n, n + size), axis) for n, tap in enumerate(TAPS))
    return plane


def linear(values: Array) -> Array:
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def xyb(image: Array) -> list[Array]:
    """Convert linear light, (H, W, 3), to positive X, Y and B."""
    bias = 0.0037930732552754493
    matrix = np.array(
        [
            [0.3, 0.622, 0.078],
            [0.23, 0.692, 0.078],
            [0.24342268924547819, 0.20476744424496821, 0.5518098665095536],
        ]
    )
    long, medium, short = np.moveaxis(np.cbrt(image @ matrix.T + bias) - math.cbrt(bias), 2, 0)
    x, y = (long - medium) / 2, (long + medium) / 2
    return [14 * x + 0.42, y + 0.01, short - y + 0.55]


def halve(image: Array) -> Array:
    height, width = image.shape[:2]
    image = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    return (image[::2, ::2] + image[::2, 1::2] + image[1::2, ::2] + image[1::2, 1::2]) / 4


def window_weights(mask: Array) -> Array:
    """Weights of a mask at the resolution of a map: its mean under the filter's window."""
    return blur(mask) / blur(np.ones_like(mask))


def ssimulacra2(
    x: Array, y: Array, masks: list[Array] | None = None, channels: tuple[int, ...] = (0, 1, 2)
) -> float:
    """Compute the metric of sRGB values in [0, 1], (H, W, 3).

    `masks` has the weights of the maps at each scale; the errors of other `channels` are 0.
    """
    x, y = linear(x), linear(y)
    norms: list[list[list[float]]] = [[], [], []]
    for scale in range(6):
        if min(x.shape[:2]) < 8:
            break
        if scale:
            x, y = halve(x), halve(y)
        w = 1.0 if masks is None else masks[scale]
        for channel, (a, b) in enumerate(zip(xyb(x), xyb(y), strict=True)):
            a_mean, b_mean = blur(a), blur(b)
            covariance = blur(a * b) - a_mean * b_mean
            variances = blur(a * a) - a_mean**2 + blur(b * b) - b_mean**2
            ssim = (1 - (a_mean - b_mean) ** 2) * (2 * covariance + 0.0009) / (variances + 0.0009)
            edges = (1 + abs(b - b_mean)) / (1 + abs(a - a_mean)) - 1
            maps = [np.maximum(1 - ssim, 0), np.maximum(edges, 0), np.maximum(-edges, 0)]
            norms[channel].append([float((w * level).mean()) for level in maps])
            norms[channel][-1] += [float((w * level**4).mean()) ** 0.25 for level in maps]
    values = np.array(norms)
    values[[channel for channel in range(3) if channel not in channels]] = 0
    flat = values.ravel()
    error = 0.9562382616834844 * float(flat @ weights[: flat.size])
    error = (
        2.326765642916932 * error
        - 0.020884521182843837 * error**2
        + 6.248496625763138e-05 * error**3
    )
    return 100 - 10 * error**0.6276336467831387 if error > 0 else 100.0
