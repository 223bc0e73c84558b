"""The layers of shift-tolerant LPIPS (Ghildyal and Liu, ECCV 2022)."""

from collections.abc import Callable, Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from roi_ray.runtime.triton import has_triton


class Blur(nn.Module):
    """Halve the resolution after a 3 x 3 blur (Zhang, ICML 2019), reflected two pixels outwards."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.filt = nn.Parameter(torch.empty(channels, 1, 3, 3), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        """Float (N, C, h, w) -> (N, C, (h + 1) // 2 + 1, (w + 1) // 2 + 1)."""
        return _framed(x, self._inside, self._bordered, reach=4)

    def _inside(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.filt, stride=2, groups=x.shape[1])

    def _bordered(self, x: Tensor) -> Tensor:
        return self._inside(F.pad(x, (2, 2, 2, 2), mode="reflect"))


class BlurredConv(nn.Module):
    """A convolution and the blur of what it gives, as one convolution of stride 2.

    A third of the operations, and nothing at full resolution that has to be written down.

    Args:
        conv: of stride 1.
        blur: of its channels.
    """

    def __init__(self, conv: nn.Conv2d, blur: Blur) -> None:
        super().__init__()
        self.conv, self.blur = conv, blur
        assert conv.bias is not None
        outside, inside, *size = conv.weight.shape
        # Each kernel is filtered by the blur of its output channel.
        kernels = conv.weight.double().view(1, outside * inside, *size)
        filters = blur.filt.double().flip(-1, -2).repeat_interleave(inside, 0)
        both = F.conv2d(kernels, filters, padding=2, groups=outside * inside)
        self.weight = nn.Parameter(both.view(outside, inside, *both.shape[-2:]).float())
        self.bias = nn.Parameter((conv.bias.double() * blur.filt.double().sum((1, 2, 3))).float())

    def forward(self, x: Tensor) -> Tensor:
        """Float (N, C, h, w) -> the features that the blur leaves."""
        # As many rows of the image as give three rows of features, at either end.
        return _framed(x, self._inside, self._one_by_one, reach=self.conv.kernel_size[0] + 1)

    def _inside(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight, self.bias, stride=2, padding=self.conv.padding)

    def _one_by_one(self, x: Tensor) -> Tensor:
        blurred: Tensor = self.blur(self.conv(x))
        return blurred


class BlurredPool(nn.Module):
    """Pooling of stride 1 and the blur of what it gives; on a GPU as one kernel.

    Args:
        pool: without a border.
        blur: of its channels.
    """

    def __init__(self, pool: nn.MaxPool2d, blur: Blur) -> None:
        super().__init__()
        assert isinstance(pool.kernel_size, int)
        self.pool, self.blur, self.window = pool, blur, pool.kernel_size

    def forward(self, x: Tensor) -> Tensor:
        """Float (N, C, h, w) -> (N, C, (h' + 1) // 2 + 1, (w' + 1) // 2 + 1), h' as pooled."""
        if x.is_cuda and has_triton():
            from roi_ray.models.triton.blur import blurred_pool

            return blurred_pool(x, self.blur.filt, self.window)
        blurred: Tensor = self.blur(self.pool(x))
        return blurred


def fuse_blurred_pools(layers: Iterable[nn.Module]) -> nn.Sequential:
    """The same layers, each pooling and the blur after it as one."""
    together: list[nn.Module] = []
    for layer in layers:
        last = together[-1] if together else None
        if isinstance(layer, Blur) and isinstance(last, nn.MaxPool2d):
            together[-1] = BlurredPool(last, layer)
        else:
            together.append(layer)
    return nn.Sequential(*together)


def _framed(
    x: Tensor,
    inside: Callable[[Tensor], Tensor],
    literal: Callable[[Tensor], Tensor],
    reach: int,
) -> Tensor:
    """A layer of stride 2 that reflects what is at its edges, without copying all else.

    Args:
        x: (N, C, h, w).
        inside: gives all of the layer's output but a frame of one pixel.
        literal: gives all of it.
        reach: rows and columns of `x` that are enough for the frame.
    """
    height, width = x.shape[-2:]
    if min(height, width) < 2 * reach:
        return literal(x)
    out = F.pad(inside(x), (1, 1, 1, 1))
    # Stride 2 begins at an even row and column.
    row, column = ((side - reach) // 2 * 2 for side in (height, width))
    out[..., :1, :] = literal(x[..., :reach, :])[..., :1, :]
    out[..., -1:, :] = literal(x[..., row:, :])[..., -1:, :]
    out[..., :1] = literal(x[..., :reach])[..., :1]
    out[..., -1:] = literal(x[..., column:])[..., -1:]
    return out


def alex() -> tuple[list[nn.Module], list[int]]:
    """AlexNet with a first convolution of stride 1, and blurs where it had strides.

    Returns:
        its layers, and where the slices begin and the last one ends.
    """
    layers: list[nn.Module] = [
        nn.Conv2d(3, 64, 11, padding=2),
        Blur(64),
        nn.ReLU(),
        nn.MaxPool2d(3, stride=1),
        Blur(64),
        nn.Conv2d(64, 192, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(3, stride=1),
        Blur(192),
        nn.Conv2d(192, 384, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(384, 256, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(256, 256, 3, padding=1),
        nn.ReLU(),
    ]
    return layers, [0, 3, 7, 11, 13, 15]


def vgg() -> tuple[list[nn.Module], list[int]]:
    """VGG-16 with a blur after each pooling, which has stride 1; as `alex`."""
    layers: list[nn.Module] = []
    cuts = [0]
    channels = 3
    for width, depth in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        if layers:
            layers += [nn.MaxPool2d(2, stride=1), Blur(channels)]
        for _ in range(depth):
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
            channels = width
        cuts.append(len(layers))
    return layers, cuts
