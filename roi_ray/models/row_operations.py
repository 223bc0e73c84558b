"""Layers as operations on windows of rows, read from the layers: window, stride and padding."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from roi_ray.errors import UsageError
from roi_ray.metrics.strips import RowBuffer, Window
from roi_ray.models.instance_norm import FrozenInstanceNorm
from roi_ray.models.shift_tolerant import Blur, BlurredConv, BlurredPool
from roi_ray.models.winograd import WinogradConv2d

_MIN_ROWS = 8
"""Output rows for which windows wait: with fewer, convolutions take up to 1.5 times as long."""

_POINTWISE = (nn.Identity, nn.ReLU, nn.LeakyReLU, FrozenInstanceNorm)


@dataclass(frozen=True)
class RowOperation:
    """An operation on a window of rows: a layer, or a part of one.

    Attributes:
        run: computes all outputs of a window.
        kernel, stride, padding, padding_below: see `RowBuffer`.
    """

    run: Callable[[Window], Tensor]
    kernel: int = 1
    stride: int = 1
    padding: int = 0
    padding_below: int = 0

    def count_rows(self, height: int) -> int:
        """Return the number of output rows of an image."""
        padded = self.padding + height + self.padding_below
        return (padded - self.kernel) // self.stride + 1

    def make_buffer(self) -> RowBuffer:
        """Make a buffer for the strips of one image."""
        return RowBuffer(
            self.kernel,
            self.stride,
            self.padding,
            self.padding_below,
            min_outputs=_MIN_ROWS if self.kernel > 1 else 1,
        )


def flatten(layers: Iterable[nn.Module]) -> Iterator[nn.Module]:
    """List layers in the order in which they run, those of sequences one by one."""
    for layer in layers:
        if isinstance(layer, nn.Sequential):
            yield from flatten(layer)
        else:
            yield layer


def list_operations(layers: Iterable[nn.Module]) -> Iterator[RowOperation]:
    """Describe layers as operations on windows of rows.

    Known are convolutions with zero padding, max pooling, what works on each position alone
    (activations, batch norm in evaluation mode, frozen instance norm), the Fire module of
    SqueezeNet, the blurs of shift-tolerant networks, and sequences of all these.

    Raises:
        UsageError: a layer is not known.
    """
    for layer in flatten(layers):
        if isinstance(layer, nn.Conv2d):
            yield _describe_convolution(layer)
        elif isinstance(layer, nn.MaxPool2d):
            yield _describe_pooling(layer)
        elif isinstance(layer, Blur | BlurredConv | BlurredPool):
            yield _describe_blur(layer)
        elif isinstance(layer, nn.InstanceNorm2d):
            yield RowOperation(_refuse_instance_norm)
        elif isinstance(layer, _POINTWISE) or _is_frozen_batch_norm(layer):
            yield _describe_pointwise(layer)
        # Recognised by its name, because torchvision is as slow to import as torch.
        elif type(layer).__name__ == "Fire":
            yield from _describe_fire(layer)
        else:
            raise _make_error(layer)


def _describe_pointwise(layer: nn.Module) -> RowOperation:
    return RowOperation(lambda window: cast(Tensor, layer(window.rows)))


def _describe_convolution(layer: nn.Conv2d) -> RowOperation:
    if isinstance(layer.padding, str) or layer.padding_mode != "zeros":
        raise _make_error(layer)
    kernel, stride, dilation = layer.kernel_size[0], layer.stride[0], layer.dilation[0]
    padding, padding_columns = layer.padding

    def run(window: Window) -> Tensor:
        if isinstance(layer, WinogradConv2d):
            return layer.convolve(_pad_rows(window, 0), (0, padding_columns))
        return F.conv2d(
            _pad_rows(window, 0),
            layer.weight,
            layer.bias,
            layer.stride,
            (0, padding_columns),
            layer.dilation,
            layer.groups,
        )

    return RowOperation(run, dilation * (kernel - 1) + 1, stride, padding, padding)


def _describe_pooling(layer: nn.MaxPool2d) -> RowOperation:
    sizes = (layer.kernel_size, layer.stride, layer.padding, layer.dilation)
    kernel, stride, padding, dilation = (_as_pair(size) for size in sizes)
    if layer.return_indices or (layer.ceil_mode and (kernel[0] < stride[0] or padding[0])):
        raise _make_error(layer)

    def run(window: Window) -> Tensor:
        rows = _pad_rows(window, -torch.inf)
        # Other values than these pad the columns.
        return F.max_pool2d(rows, kernel, stride, (0, padding[1]), dilation, layer.ceil_mode)

    # The last window may begin in the last rows and end below them.
    beyond = stride[0] - 1 if layer.ceil_mode else 0
    reach = dilation[0] * (kernel[0] - 1) + 1
    return RowOperation(run, reach, stride[0], padding[0], padding[0] + beyond)


def _describe_fire(layer: nn.Module) -> Iterator[RowOperation]:
    squeeze, expand_1x1, expand_3x3 = (
        cast(nn.Conv2d, layer.get_submodule(name)) for name in ("squeeze", "expand1x1", "expand3x3")
    )
    yield from list_operations([squeeze, layer.get_submodule("squeeze_activation")])
    whole_3x3 = _describe_convolution(expand_3x3)
    if (whole_3x3.kernel, whole_3x3.stride, whole_3x3.padding) != (3, 1, 1):
        raise _make_error(layer)

    def run(window: Window) -> Tensor:
        above, below = 1 - window.above, 1 - window.below
        centre = window.rows[..., above : window.rows.shape[-2] - below, :]
        return torch.cat([expand_1x1(centre), whole_3x3.run(window)], 1).relu_()

    yield RowOperation(run, 3, 1, 1, 1)


def _describe_blur(layer: Blur | BlurredConv | BlurredPool) -> RowOperation:
    """Describe a layer that ends with a blur, which reflects the edges of the image.

    At an edge it sees `spare` rows of the image that the window does not have. The buffer's window
    therefore has them on both sides; where there is no edge they are cut off again.
    """
    kernel, padding = layer.window_rows
    spare = Blur.REFLECTION

    def run(window: Window) -> Tensor:
        rows, above, below = window.rows, window.above - spare, window.below - spare
        is_top, is_bottom = above > padding, below > padding
        # One output too many is computed where the spare rows cannot be cut off.
        surplus_above = is_bottom and above < 0
        surplus_below = is_top and below < 0
        if above < 0 and not surplus_above:
            rows = rows[..., -above:, :]
        if below < 0 and not surplus_below:
            rows = rows[..., :below, :]
        zeros = (max(0, min(each, padding)) for each in (above, below))
        rows = layer.run_rows(_pad_rows(Window(rows, *zeros), 0), is_top, is_bottom)
        return rows[..., int(surplus_above) : rows.shape[-2] - int(surplus_below), :]

    reach = padding + 2 * spare
    return RowOperation(run, kernel + 2 * spare, Blur.STRIDE, reach, reach)


def _pad_rows(window: Window, value: float) -> Tensor:
    if not (window.above or window.below):
        return window.rows
    return F.pad(window.rows, (0, 0, window.above, window.below), value=value)


def _as_pair(value: int | tuple[int, ...]) -> tuple[int, int]:
    if isinstance(value, int):
        return value, value
    rows, columns = value
    return rows, columns


def _is_frozen_batch_norm(layer: nn.Module) -> bool:
    if not isinstance(layer, nn.BatchNorm2d):
        return False
    return not layer.training and layer.running_mean is not None


def _refuse_instance_norm(window: Window) -> Tensor:
    raise UsageError("instance norm sees the whole image: call freeze_instance_norms first")


def _make_error(layer: nn.Module) -> UsageError:
    return UsageError(
        f"the layer {layer} cannot be run on rows of a large image. Known are convolutions with "
        "zero padding, max pooling, ReLU, LeakyReLU, batch norm in evaluation mode, instance norm, "
        "SqueezeNet's Fire and the blurs of shift-tolerant networks"
    )
