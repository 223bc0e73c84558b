"""Convolutions of 3 x 3 and 5 x 5 in a quarter to a third of the multiplications, on a CPU.

Winograd's method (Lavin and Gray, CVPR 2016): a tile of 6 x 6 inputs and a kernel are transformed
so that their convolution becomes a product per element, which is a matrix product over the
channels. A tile gives 4 x 4 outputs of a 3 x 3 kernel, or 2 x 2 of a 5 x 5 kernel, from 36 products
per pair of channels, where direct convolution takes 144 or 100. The numbers are those of float32
convolutions to about ten roundings.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from roi_ray.runtime.compiled import has_kernels

TILE = 6
_SIDES = {3: 4, 5: 2}
"""Side of a tile's outputs, by side of the kernel."""
POINTS = (0.75, 1.5)
"""The transform evaluates polynomials at 0, at these points, at their negatives, at infinity.
The usual ones, 1 and 2, give twice the rounding error."""
_MIN_CHANNELS = 32
"""With fewer, the transforms take longer than the products that they save."""
_MIN_TILES = 16
"""With fewer, reading the transformed weights takes longer than direct convolution."""
_TILES_AT_ONCE = 256
"""So that the transformed tiles stay in the processor's cache."""


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
        return _convolve(x, self._get_transformed(), self.bias, self.kernel_size[0], padding)

    def _is_faster(self, x: Tensor, padding: tuple[int, int]) -> bool:
        if x.dtype != torch.float32:
            return False
        if torch.is_grad_enabled() and (x.requires_grad or self.weight.requires_grad):
            return False
        height, width = _count_outputs(x, self.kernel_size[0], padding)
        side = _SIDES[self.kernel_size[0]]
        if min(height, width) < 1 or -(-height // side) * -(-width // side) < _MIN_TILES:
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
    kernel = layer.kernel_size[0]
    return (
        layer.kernel_size in ((3, 3), (5, 5))
        and layer.stride == layer.dilation == (1, 1)
        and layer.groups == 1
        and layer.padding in ((0, 0), (kernel // 2, kernel // 2))
        and layer.padding_mode == "zeros"
        and layer.bias is not None
        and min(layer.in_channels, layer.out_channels) >= _MIN_CHANNELS
    )


def transform_weights(weight: Tensor) -> Tensor:
    """Transform kernels, (O, C, k, k) with k = 3 or 5, to float32 (36, C, O).

    An element of the result is the kernel's polynomial at two of the points, divided by the
    derivative of the polynomial whose roots are all points; at infinity the highest coefficient.
    """
    a, b = POINTS
    points = torch.tensor([0, a, -a, b, -b], dtype=torch.float64)
    slopes = torch.stack([(p - points)[p != points].prod() for p in points])
    size = weight.shape[-1]
    rows = points[:, None] ** torch.arange(size) / slopes[:, None]
    rows = torch.cat([rows, torch.eye(size, dtype=torch.float64)[-1:]])
    transformed = torch.einsum("ia,ocab,jb->ijco", rows, weight.detach().double(), rows)
    return transformed.flatten(0, 1).float().contiguous()


def _count_outputs(x: Tensor, kernel: int, padding: tuple[int, int]) -> tuple[int, int]:
    return x.shape[2] + 2 * padding[0] - kernel + 1, x.shape[3] + 2 * padding[1] - kernel + 1


def _convolve(
    x: Tensor, weights: Tensor, bias: Tensor, kernel: int, padding: tuple[int, int]
) -> Tensor:
    """Convolve images one by one, so that none depends on the others in its batch."""
    from roi_ray.models import winograd_kernels

    side = _SIDES[kernel]
    height, width = _count_outputs(x, kernel, padding)
    rows, columns = -(-height // side), -(-width // side)
    below, right = (rows * side - height, columns * side - width)
    margins = (padding[1], padding[1] + right, padding[0], padding[0] + below)
    padded = F.pad(x, margins).permute(0, 2, 3, 1).contiguous()
    out = x.new_empty(len(x), height, width, weights.shape[2])
    step = min(rows, max(1, _TILES_AT_ONCE // columns))
    tiles = x.new_empty(TILE**2, step * columns, x.shape[1])
    products = x.new_empty(TILE**2, step * columns, weights.shape[2])
    for image, result in zip(padded, out, strict=True):
        for first in range(0, rows, step):
            count = min(step, rows - first)
            used = slice(count * columns)
            winograd_kernels.transform_tiles(image, tiles, range(first, first + count), side)
            torch.bmm(tiles[:, used], weights, out=products[:, used])
            winograd_kernels.transform_products(
                products, bias, result, range(first, first + count), side
            )
    return out.permute(0, 3, 1, 2)
