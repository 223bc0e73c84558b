"""The layers of shift-tolerant LPIPS (Ghildyal and Liu, ECCV 2022)."""

from collections.abc import Callable, Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from roi_ray.runtime.triton import has_triton


class Blur(nn.Module):
    """A 3 x 3 blur that halves the resolution (Zhang, ICML 2019), with 2 pixels of reflection."""

    KERNEL, STRIDE, REFLECTION = 3, 2, 2

    window_rows = KERNEL, 0
    """Rows of the window, and rows of zeros that its layers add at the image's edges."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.filt = nn.Parameter(torch.empty(channels, 1, 3, 3), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map float (N, C, h, w) to (N, C, (h + 1) // 2 + 1, (w + 1) // 2 + 1)."""
        return self.run_rows(x, is_top=True, is_bottom=True)

    def run_rows(self, x: Tensor, is_top: bool, is_bottom: bool) -> Tensor:
        """Blur rows of an image.

        Args:
            x: (N, C, rows, w), whose first row has an even number in the image.
            is_top: whether the image begins with these rows.
            is_bottom: whether the image ends with these rows.

        Returns:
            outputs that see these rows alone, and those of the image's edges.
        """
        return _reflect_edges_only(x, self._blur_interior, self._blur_padded, 4, is_top, is_bottom)

    def _blur_interior(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.filt, stride=2, groups=x.shape[1])

    def _blur_padded(self, x: Tensor) -> Tensor:
        return self._blur_interior(F.pad(x, (2, 2, 2, 2), mode="reflect"))


class BlurredConv(nn.Module):
    """A convolution and the blur of its output, fused into one convolution of stride 2.

    The fused one needs a third of the operations, and stores nothing at full resolution.

    Args:
        conv: convolution of stride 1, with a bias.
        blur: blur of its output channels.
    """

    def __init__(self, conv: nn.Conv2d, blur: Blur) -> None:
        super().__init__()
        self.conv, self.blur = conv, blur
        assert conv.bias is not None
        out_channels, in_channels, *size = conv.weight.shape
        # Each kernel is convolved with the blur of its output channel.
        kernels = conv.weight.double().view(1, out_channels * in_channels, *size)
        filters = blur.filt.double().flip(-1, -2).repeat_interleave(in_channels, 0)
        fused = F.conv2d(kernels, filters, padding=2, groups=out_channels * in_channels)
        self.weight = nn.Parameter(fused.view(out_channels, in_channels, *fused.shape[-2:]).float())
        self.bias = nn.Parameter((conv.bias.double() * blur.filt.double().sum((1, 2, 3))).float())

    def forward(self, x: Tensor) -> Tensor:
        """Convolve and blur float (N, C, h, w)."""
        # At each edge, three rows of convolved features are needed.
        reach = self.conv.kernel_size[0] + 1
        return _reflect_edges_only(x, self._convolve_fused, self._convolve_then_blur, reach)

    def run_rows(self, x: Tensor, is_top: bool, is_bottom: bool) -> Tensor:
        """Convolve and blur rows of an image, see `Blur.run_rows`.

        Args:
            x: (N, C, rows, w), with the convolution's rows of zeros at the image's edges.
            is_top: whether the image begins with these rows.
            is_bottom: whether the image ends with these rows.
        """
        padding = 0, int(self.conv.padding[1])

        def convolve_fused(x: Tensor) -> Tensor:
            return F.conv2d(x, self.weight, self.bias, stride=2, padding=padding)

        def convolve_then_blur(x: Tensor) -> Tensor:
            conv = F.conv2d(x, self.conv.weight, self.conv.bias, padding=padding)
            blurred: Tensor = self.blur(conv)
            return blurred

        reach = self.conv.kernel_size[0] + 2  # without rows of zeros, three rows need one more
        return _reflect_edges_only(x, convolve_fused, convolve_then_blur, reach, is_top, is_bottom)

    @property
    def window_rows(self) -> tuple[int, int]:
        """See `Blur.window_rows`."""
        return self.conv.kernel_size[0] + Blur.KERNEL - 1, int(self.conv.padding[0])

    def _convolve_fused(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight, self.bias, stride=2, padding=self.conv.padding)

    def _convolve_then_blur(self, x: Tensor) -> Tensor:
        blurred: Tensor = self.blur(self.conv(x))
        return blurred


class BlurredPool(nn.Module):
    """Max pooling of stride 1 and the blur of its output; one kernel on a GPU.

    Args:
        pool: max pooling of stride 1 without padding.
        blur: blur of its output channels.
    """

    def __init__(self, pool: nn.MaxPool2d, blur: Blur) -> None:
        super().__init__()
        assert isinstance(pool.kernel_size, int)
        self.pool, self.blur, self.window = pool, blur, pool.kernel_size

    def forward(self, x: Tensor) -> Tensor:
        """Map float (N, C, h, w) to (N, C, (h' + 1) // 2 + 1, (w' + 1) // 2 + 1).

        h' and w' are the sizes after pooling.
        """
        if x.is_cuda and has_triton():
            from roi_ray.models.triton.blur import compute_blurred_pool

            return compute_blurred_pool(x, self.blur.filt, self.window)
        return self.run_rows(x, is_top=True, is_bottom=True)

    def run_rows(self, x: Tensor, is_top: bool, is_bottom: bool) -> Tensor:
        """Pool and blur rows of an image, (N, C, rows, w); see `Blur.run_rows`."""
        if x.is_cuda and has_triton():
            return _drop_frame_rows(self(x), is_top, is_bottom)
        return self.blur.run_rows(_max_pool(x, self.window), is_top, is_bottom)

    @property
    def window_rows(self) -> tuple[int, int]:
        """See `Blur.window_rows`."""
        return self.window + Blur.KERNEL - 1, 0


def _max_pool(x: Tensor, window: int) -> Tensor:
    """Compute max pooling of stride 1 without padding.

    Torch's own also stores the position of each maximum, which takes twice the memory of the
    result, and 1.6 times as long on a CPU.
    """
    for dim in (-2, -1):
        size = x.shape[dim] - window + 1
        largest = torch.maximum(x.narrow(dim, 0, size), x.narrow(dim, 1, size))
        for shift in range(2, window):
            torch.maximum(largest, x.narrow(dim, shift, size), out=largest)
        x = largest
    return x


def fuse_blurred_pools(layers: Iterable[nn.Module]) -> nn.Sequential:
    """Replace each pooling that a blur follows, and the blur, by a `BlurredPool`."""
    fused: list[nn.Module] = []
    for layer in layers:
        last = fused[-1] if fused else None
        if isinstance(layer, Blur) and isinstance(last, nn.MaxPool2d):
            fused[-1] = BlurredPool(last, layer)
        else:
            fused.append(layer)
    return nn.Sequential(*fused)


def _reflect_edges_only(
    x: Tensor,
    compute_interior: Callable[[Tensor], Tensor],
    compute_all: Callable[[Tensor], Tensor],
    reach: int,
    is_top: bool = True,
    is_bottom: bool = True,
) -> Tensor:
    """Apply a layer of stride 2 that reflects the edges, without copying the whole input to pad it.

    Args:
        x: rows of an image, (N, C, h, w).
        compute_interior: computes the output except for a frame of one pixel, without reflection.
        compute_all: computes the whole output, with reflection; called for the edges of `x`.
        reach: rows and columns of `x` that suffice to compute the frame.
        is_top: whether the image begins with these rows.
        is_bottom: whether the image ends with these rows.

    Returns:
        the output, without the rows of the frame that are not at an edge of the image.
    """
    height, width = x.shape[-2:]
    if width < 2 * reach or (is_top and is_bottom and height < 2 * reach):
        return _drop_frame_rows(compute_all(x), is_top, is_bottom)
    out = F.pad(compute_interior(x), (1, 1, int(is_top), int(is_bottom)))
    # The strips at the end start at an even row and column, because the stride is 2.
    row, column = (max(0, side - reach) // 2 * 2 for side in (height, width))
    if is_top:
        out[..., :1, :] = compute_all(x[..., :reach, :])[..., :1, :]
    if is_bottom:
        out[..., -1:, :] = compute_all(x[..., row:, :])[..., -1:, :]
    out[..., :1] = _drop_frame_rows(compute_all(x[..., :reach]), is_top, is_bottom)[..., :1]
    out[..., -1:] = _drop_frame_rows(compute_all(x[..., column:]), is_top, is_bottom)[..., -1:]
    return out


def _drop_frame_rows(out: Tensor, is_top: bool, is_bottom: bool) -> Tensor:
    """Drop the first and the last row of an output where they see no edge of the image."""
    first, end = int(not is_top), out.shape[-2] - int(not is_bottom)
    return out if end - first == out.shape[-2] else out[..., first:end, :]


def build_alexnet() -> tuple[list[nn.Module], list[int]]:
    """Build AlexNet with blurs in place of strides, and a first convolution of stride 1.

    Returns:
        the layers, and the indices where the slices begin and the last one ends.
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


def build_vgg16() -> tuple[list[nn.Module], list[int]]:
    """Build VGG-16 with pooling of stride 1 and a blur after each pooling.

    Returns:
        the layers, and the indices where the slices begin and the last one ends.
    """
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
