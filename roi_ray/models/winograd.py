"""Convolutions of 3 x 3 in a quarter of the multiplications, on a CPU.

Winograd's method (Lavin and Gray, CVPR 2016): a tile of 6 x 6 inputs and a kernel are transformed
so that their convolution becomes a product per element, which is a matrix product over the
channels. A tile gives 4 x 4 outputs from 36 products per pair of channels, where direct convolution
takes 144. The numbers are those of float32 convolutions with some six times their rounding error.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from roi_ray.runtime.compiled import has_kernels

KERNEL, TILE, SIDE = 3, 6, 4
"""Sides of the kernel, of a tile of inputs, and of its outputs."""
POINTS = (0.75, 1.5)
"""The transform evaluates polynomials at 0, at these points, at their negatives, at infinity.
The usual ones, 1 and 2, give twice the rounding error."""
_MIN_CHANNELS = 32
"""With fewer, the transforms take longer than the products that they save."""
_MIN_TILES = 16
"""With fewer, reading the transformed weights takes longer than direct convolution."""
_TILES_AT_ONCE = 512
"""With more, the transformed tiles would take much memory; with fewer, the products take longer."""


class WinogradConv2d(nn.Conv2d):
    """A convolution of stride 1 by Winograd's method where it is faster: fp32, on a CPU.

    Elsewhere, and for training, it is torch's convolution.
    """

    _transformed: tuple[tuple[int, int], Tensor] | None = None  # of these weights

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return self.convolve(input, (int(self.padding[0]), int(self.padding[1])))

    def _apply(self, fn: Callable[..., Any], recurse: bool = True) -> "WinogradConv2d":
        self._transformed = None  # the weights move, or change their type
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self

    def convolve(self, x: Tensor, padding: tuple[int, int]) -> Tensor:
        """Convolve float (N, C, h, w) with other padding than the layer's.

        Args:
            x: the inputs.
            padding: rows of zeros above and below, and columns of zeros on the left and right.
        """
        if not self._is_faster(x, padding):
            return F.conv2d(x, self.weight, self.bias, padding=padding)
        assert self.bias is not None
        return _convolve(x, self._get_transformed(), self.bias, padding)

    def _is_faster(self, x: Tensor, padding: tuple[int, int]) -> bool:
        if x.dtype != torch.float32:
            return False
        if torch.is_grad_enabled() and (x.requires_grad or self.weight.requires_grad):
            return False
        height, width = _count_outputs(x, padding)
        if min(height, width) < 1 or -(-height // SIDE) * -(-width // SIDE) < _MIN_TILES:
            return False
        return has_kernels(x)

    def _get_transformed(self) -> Tensor:
        """Return the transformed weights, which are kept until the weights change."""
        weight = self.weight
        key = (weight.data_ptr(), 0 if weight.is_inference() else weight._version)
        if self._transformed is None or self._transformed[0] != key:
            self._transformed = (key, transform_weights(weight))
        return self._transformed[1]


def use_winograd(layers: nn.Module) -> None:
    """Replace the convolutions that Winograd's method suits, in place; weights are shared."""
    for parent in layers.modules():
        for name, layer in parent.named_children():
            if type(layer) is nn.Conv2d and _suits(layer):
                with torch.device("meta"):
                    new = WinogradConv2d(
                        layer.in_channels,
                        layer.out_channels,
                        layer.kernel_size,  # type: ignore[arg-type]
                        padding=layer.padding,  # type: ignore[arg-type]
                    )
                new.weight, new.bias = layer.weight, layer.bias
                setattr(parent, name, new.train(layer.training))


def _suits(layer: nn.Conv2d) -> bool:
    return (
        layer.kernel_size == (KERNEL, KERNEL)
        and layer.stride == layer.dilation == (1, 1)
        and layer.groups == 1
        and layer.padding in ((0, 0), (1, 1))
        and layer.padding_mode == "zeros"
        and layer.bias is not None
        and min(layer.in_channels, layer.out_channels) >= _MIN_CHANNELS
    )


def transform_weights(weight: Tensor) -> Tensor:
    """Transform kernels, (O, C, 3, 3), to float32 (36, C, O).

    An element of the result is the kernel's polynomial at two of the points, divided by the
    derivative of the polynomial whose roots are all points; at infinity the highest coefficient.
    """
    a, b = POINTS
    points = torch.tensor([0, a, -a, b, -b], dtype=torch.float64)
    slopes = torch.stack([(p - points)[p != points].prod() for p in points])
    rows = points[:, None] ** torch.arange(KERNEL) / slopes[:, None]
    rows = torch.cat([rows, torch.eye(KERNEL, dtype=torch.float64)[-1:]])
    transformed = torch.einsum("ia,ocab,jb->ijco", rows, weight.detach().double(), rows)
    return transformed.flatten(0, 1).float().contiguous()


def _count_outputs(x: Tensor, padding: tuple[int, int]) -> tuple[int, int]:
    return x.shape[2] + 2 * padding[0] - KERNEL + 1, x.shape[3] + 2 * padding[1] - KERNEL + 1


def _convolve(x: Tensor, weights: Tensor, bias: Tensor, padding: tuple[int, int]) -> Tensor:
    """Convolve images one by one, so that none depends on the others in its batch."""
    from roi_ray.models import winograd_kernels

    height, width = _count_outputs(x, padding)
    rows, columns = -(-height // SIDE), -(-width // SIDE)
    below, right = rows * SIDE - height, columns * SIDE - width
    margins = (padding[1], padding[1] + right, padding[0], padding[0] + below)
    padded = F.pad(x, margins).permute(0, 2, 3, 1).contiguous()
    out = x.new_empty(len(x), height, width, weights.shape[2])
    parts = -(-rows * columns // _TILES_AT_ONCE)
    step = -(-rows // parts)  # parts of about equal size
    tiles = x.new_empty(TILE**2, step * columns, x.shape[1])
    products = x.new_empty(TILE**2, step * columns, weights.shape[2])
    for image, result in zip(padded, out, strict=True):
        for first in range(0, rows, step):
            part = range(first, min(first + step, rows))
            used = slice(len(part) * columns)
            winograd_kernels.transform_tiles(image, tiles, part)
            torch.bmm(tiles[:, used], weights, out=products[:, used])
            winograd_kernels.transform_products(products, bias, result, part)
    return out.permute(0, 3, 1, 2)
