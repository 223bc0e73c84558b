"""XYB, the colour space of JPEG XL, from sRGB, in the arithmetic of SSIMULACRA2's reference tool.

The tool, like libjxl, approximates the sRGB transfer function and the cube root in float32. Other
ways to compute them are as good, but SSIMULACRA2's recursive filter turns a difference in the last
bit of a pixel into up to 0.1 points, so that its numbers can be reproduced only by the same steps.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from roi_ray.metrics.images import Images
from roi_ray.metrics.multiply_add import add_product_, has_fused_kernels
from roi_ray.runtime.compiled import has_kernels

# The sRGB transfer function: a straight line below the threshold, and above it a ratio of two
# polynomials, constant term first (relative error below 8e-6).
_LINE_END, _LINE_SLOPE = 0.04045, 1 / 12.92
_NUMERATOR = (2.200248328e-04, 1.043637593e-02, 1.624820318e-01, 7.961564959e-01, 8.210152774e-01)
_DENOMINATOR = (2.631846970e-01, 1.076976492, 4.987528350e-01, -5.512498495e-02, 6.521209011e-03)

# Opsin absorbance, JPEG XL (ISO/IEC 18181-1, annex L): light to the mixed signals of L, M and S.
_BLUE_OF_L, _BLUE_OF_M = 0.078, 0.078
_RED_OF_L, _RED_OF_M = 0.30, 0.23
_RED_OF_S, _GREEN_OF_S = 0.24342268924547819, 0.20476744424496821
ABSORBANCE = (
    (_RED_OF_L, 1 - _BLUE_OF_L - _RED_OF_L, _BLUE_OF_L),
    (_RED_OF_M, 1 - _BLUE_OF_M - _RED_OF_M, _BLUE_OF_M),
    (_RED_OF_S, _GREEN_OF_S, 1 - _RED_OF_S - _GREEN_OF_S),
)
BIAS = 0.0037930732552754493

# The bits of a positive float32, read as an integer, are nearly linear in its logarithm: a third
# of the exponent, subtracted from this, gives a first guess of x^(-1/3).
GUESS, THIRD_OF_EXPONENT, MANTISSA_BITS = 0x54800000, 0x002AAAAA, 23

_STRIP_PIXELS = 1 << 13


def linear_light(images: Images) -> Tensor:
    """Convert sRGB to linear light.

    Args:
        images: N images.

    Returns:
        float32, (N, 3, H, W), contiguous, in [0, 1] but for rounding.
    """
    samples = images.samples
    if samples.is_floating_point():
        linear = torch.empty(samples.shape, device=samples.device)
        for rows in _strips(linear):
            linear[:, :, rows] = _remove_gamma(samples[:, :, rows].float())
        return linear
    # The tool multiplies by a rounded 1 / white.
    scale = torch.tensor(1 / images.white, device=samples.device)
    levels = torch.arange(images.white + 1, device=samples.device, dtype=torch.float32)
    light = _remove_gamma(levels * scale)
    if images.has_kernels:
        from roi_ray.metrics.compiled.xyb import look_up

        return look_up(samples, light)
    positions = samples.contiguous().view(-1).int()
    return light.index_select(0, positions).view(samples.shape)


def halve(linear: Tensor) -> Tensor:
    """Average 2 x 2 pixels; an odd last row or column is repeated.

    Args:
        linear: (N, 3, H, W).

    Returns:
        (N, 3, ceil(H / 2), ceil(W / 2)).
    """
    if has_kernels(linear):
        from roi_ray.metrics.compiled import xyb

        return xyb.halve(linear)
    height, width = linear.shape[-2:]
    if height % 2 or width % 2:
        linear = F.pad(linear, (0, width % 2, 0, height % 2), mode="replicate")
    upper, lower = linear[..., 0::2, :], linear[..., 1::2, :]
    total = upper[..., 0::2] + upper[..., 1::2]
    return total.add_(lower[..., 0::2]).add_(lower[..., 1::2]).mul_(0.25)


def positive_xyb(linear: Tensor) -> Tensor:
    """Convert linear light to the XYB of SSIMULACRA2, whose channels are all about 0 to 1.

    Args:
        linear: float32, (N, 3, H, W).

    Returns:
        float32, (N, 3, H, W): 14 X + 0.42, Y + 0.01 and B - Y + 0.55.
    """
    if has_fused_kernels(linear):
        from roi_ray.metrics.compiled import xyb as compiled

        return compiled.positive_xyb(linear)
    xyb = torch.empty_like(linear)
    bias = torch.tensor(BIAS, device=linear.device)
    absorbance = torch.tensor(ABSORBANCE, device=linear.device)
    root_of_bias = torch.tensor(-math.cbrt(bias.item()), device=linear.device)
    for rows in _strips(linear):
        red, green, blue = (channel[:, None] for channel in linear[:, :, rows].unbind(1))
        mixed = bias.expand_as(xyb[:, :, rows]).clone()
        for light, column in ((blue, 2), (green, 1), (red, 0)):
            add_product_(mixed, absorbance[:, column].view(3, 1, 1), light)
        long, medium, short = _cube_root_plus(mixed, root_of_bias).unbind(1)
        x, y, b = xyb[:, :, rows].unbind(1)
        torch.add(long, medium, out=y).mul_(0.5)
        torch.sub(short, y, out=b).add_(0.55)
        torch.sub(long, medium, out=x).mul_(0.5).mul_(14).add_(0.42)
        y.add_(0.01)
    return xyb


def _remove_gamma(values: Tensor) -> Tensor:
    """Convert sRGB values in [0, 1] to linear light."""
    curve = _polynomial(values, _NUMERATOR).div_(_polynomial(values, _DENOMINATOR))
    return torch.where(values > _LINE_END, curve, values * _LINE_SLOPE)


def _polynomial(x: Tensor, coefficients: tuple[float, ...]) -> Tensor:
    """Evaluate a polynomial by Horner's rule; the constant term comes first."""
    *lower, highest = torch.tensor(coefficients, device=x.device).unbind()
    value = highest.expand_as(x)
    for coefficient in reversed(lower):
        value = add_product_(coefficient.expand_as(x).clone(), value, x)
    return value


def _cube_root_plus(x: Tensor, addend: Tensor) -> Tensor:
    """Compute `cbrt(x) + addend` by Newton's iteration for x^(-1/3); `x` is positive."""
    exponent = x.view(torch.int32) >> MANTISSA_BITS
    root = (GUESS - exponent * THIRD_OF_EXPONENT).view(torch.float32)
    third = x * (1 / 3)
    for _ in range(3):
        fourth_power = root.square().square_()
        root = add_product_(root * (4 / 3), third, fourth_power, sign=-1)
    fourth_power = root.square().square_()
    step = add_product_(root.clone(), x, fourth_power, sign=-1)
    add_product_(root, step, torch.tensor(1 / 3, device=x.device))
    return add_product_(addend.expand_as(x).clone(), root.square_(), x)


def _strips(images: Tensor) -> list[slice]:
    """Return strips of rows that stay in a CPU's cache; one strip on a GPU."""
    count, _, height, width = images.shape
    rows = height if images.is_cuda else max(1, _STRIP_PIXELS // (count * width))
    return [slice(start, start + rows) for start in range(0, height, rows)]
