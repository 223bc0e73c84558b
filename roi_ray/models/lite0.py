"""The packaged saliency network: an EfficientNet-lite0 encoder under a feature pyramid.

Encoder: EfficientNet (Tan and Le, ICML 2019) in its "lite" form, without squeeze-and-excitation and
with ReLU6. Decoder: a feature pyramid (Lin et al., CVPR 2017) of depthwise separable convolutions,
up to half of the input's resolution. 3.0 million parameters; 1.1 billion multiplications at
352 x 352.
"""

from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


class _Stage(NamedTuple):
    expansion: int
    kernel_size: int
    stride: int
    out_channels: int
    repeats: int


_STAGES = (
    _Stage(1, 3, 1, 16, 1),
    _Stage(6, 3, 2, 24, 2),
    _Stage(6, 5, 2, 40, 2),
    _Stage(6, 3, 2, 80, 3),
    _Stage(6, 5, 1, 112, 3),
    _Stage(6, 5, 2, 192, 4),
    _Stage(6, 3, 1, 320, 1),
)
# The last stage of each resolution, 1/2 to 1/32, feeds the pyramid.
_PYRAMID_STAGES = (0, 1, 2, 4, 6)
_PYRAMID_CHANNELS = 64


class Lite0Saliency(nn.Module):
    """Saliency network: (N, 3, H, W) -> logits at half the resolution, (N, 1, H / 2, W / 2).

    The input is float RGB, scaled to about [-1, 1]; H and W are multiples of 32.

    Args:
        folded: whether to build the network without batch norms, for the tensors of
            `fold_batch_norms`. It is then faster, but cannot be trained.
    """

    def __init__(self, folded: bool = False) -> None:
        super().__init__()
        self.stem = ConvUnit(3, 32, kernel_size=3, stride=2, folded=folded)
        self.stages = nn.ModuleList()
        channels = 32
        for stage in _STAGES:
            blocks = nn.Sequential()
            for repeat in range(stage.repeats):
                stride = stage.stride if repeat == 0 else 1
                blocks.append(_InvertedResidual(channels, stage, stride, folded))
                channels = stage.out_channels
            self.stages.append(blocks)
        width = _PYRAMID_CHANNELS
        inputs = [_STAGES[index].out_channels for index in _PYRAMID_STAGES]
        self.context = ConvUnit(inputs[-1], width, folded=folded)
        self.laterals = nn.ModuleList(
            ConvUnit(channels, width, activation=False, folded=folded) for channels in inputs
        )
        self.smooth = nn.ModuleList(
            nn.Sequential(
                ConvUnit(
                    width, width, kernel_size=3, groups=width, activation=False, folded=folded
                ),
                ConvUnit(width, width, folded=folded),
            )
            for _ in inputs
        )
        self.head = nn.Conv2d(width, 1, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the logits, (N, 1, H / 2, W / 2), of images (N, 3, H, W)."""
        x = self.stem(x)
        features = []
        for index, stage in enumerate(self.stages):
            x = stage(x)
            if index in _PYRAMID_STAGES:
                features.append(x)
        # The mean over the image gives every position the same global context.
        top = self.context(x.mean((2, 3), keepdim=True))
        for feature, lateral, smooth in zip(
            reversed(features), reversed(self.laterals), reversed(self.smooth), strict=True
        ):
            side = lateral(feature)
            top = smooth(side + F.interpolate(top, size=side.shape[-2:], mode="bilinear"))
        logits: Tensor = self.head(top)
        return logits


class ConvUnit(nn.Module):
    """Convolution, batch norm, ReLU6; padded as TensorFlow's "same".

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: side of the kernel.
        stride: 1 or 2.
        groups: groups of the convolution.
        activation: whether ReLU6 follows.
        folded: whether the convolution has a bias in place of a batch norm.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        kernel_size: int = 1,
        stride: int = 1,
        groups: int = 1,
        activation: bool = True,
        folded: bool = False,
    ) -> None:
        super().__init__()
        # At stride 2, "same" pads one column more on the right and one row more below.
        before = (kernel_size - stride) // 2 if stride > 1 else kernel_size // 2
        after = kernel_size - stride - before if stride > 1 else before
        self.uneven_padding = (before, after, before, after) if before != after else None
        self.conv = nn.Conv2d(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding=0 if self.uneven_padding else before,
            groups=groups,
            bias=folded,
        )
        self.norm = (
            nn.Identity() if folded else nn.BatchNorm2d(out_channels, eps=1e-3, momentum=0.01)
        )
        self.activation = nn.ReLU6(inplace=True) if activation else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Map float (N, in_channels, h, w) to (N, out_channels, h / stride, w / stride)."""
        if self.uneven_padding:
            x = F.pad(x, self.uneven_padding)
        out: Tensor = self.activation(self.norm(self.conv(x)))
        return out


class _InvertedResidual(nn.Module):
    """Block that expands channels, filters each, projects; added to its input if sizes match."""

    def __init__(self, in_channels: int, stage: _Stage, stride: int, folded: bool) -> None:
        super().__init__()
        hidden = in_channels * stage.expansion
        self.units = nn.Sequential()
        if stage.expansion > 1:
            self.units.append(ConvUnit(in_channels, hidden, folded=folded))
        self.units.append(
            ConvUnit(
                hidden,
                hidden,
                kernel_size=stage.kernel_size,
                stride=stride,
                groups=hidden,
                folded=folded,
            )
        )
        self.units.append(ConvUnit(hidden, stage.out_channels, activation=False, folded=folded))
        self.residual = stride == 1 and in_channels == stage.out_channels

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.units(x)
        return x + out if self.residual else out


def fold_batch_norms(network: Lite0Saliency) -> dict[str, Tensor]:
    """Fold each batch norm of a trained network into the convolution before it.

    Returns:
        a state dict for `Lite0Saliency(folded=True)`. `network` is not changed.
    """
    tensors = dict(network.state_dict())
    for name, unit in network.named_modules():
        if isinstance(unit, ConvUnit) and isinstance(unit.norm, nn.BatchNorm2d):
            for key in [key for key in tensors if key.startswith(f"{name}.norm.")]:
                del tensors[key]
            training = unit.training
            fused = fuse_conv_bn_eval(unit.conv.eval(), unit.norm.eval())
            unit.train(training)
            tensors |= {f"{name}.conv.{key}": value for key, value in fused.state_dict().items()}
    return {key: value.detach().clone() for key, value in tensors.items()}
