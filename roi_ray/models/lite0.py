"""The packaged saliency network: an EfficientNet-lite0 encoder under a feature pyramid.

Encoder: EfficientNet (Tan and Le, ICML 2019), its "lite" form: no squeeze-and-excitation, ReLU6.
Decoder: feature pyramid (Lin et al., CVPR 2017) with depthwise separable convolutions, down to half
the input's resolution. 3.0 million parameters; 1.1 billion multiplications at 352 x 352.
"""

from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


class _Stage(NamedTuple):
    expand: int
    kernel: int
    stride: int
    width: int
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
_TAPS = (0, 1, 2, 4, 6)
_PYRAMID = 64


class Lite0Saliency(nn.Module):
    """RGB scaled to about [-1, 1], float (N, 3, H, W) -> saliency logits (N, 1, H / 2, W / 2).

    H and W are multiples of 32.

    Args:
        folded: without batch norms, as `fold_batch_norms` writes it: faster, for use. With them
            (the default) it can be trained.
    """

    def __init__(self, folded: bool = False) -> None:
        super().__init__()
        self.stem = ConvUnit(3, 32, kernel=3, stride=2, folded=folded)
        self.stages = nn.ModuleList()
        width = 32
        for stage in _STAGES:
            blocks = nn.Sequential()
            for repeat in range(stage.repeats):
                stride = stage.stride if repeat == 0 else 1
                blocks.append(_Block(width, stage, stride, folded))
                width = stage.width
            self.stages.append(blocks)
        taps = [_STAGES[tap].width for tap in _TAPS]
        self.context = ConvUnit(taps[-1], _PYRAMID, folded=folded)
        self.laterals = nn.ModuleList(
            ConvUnit(tap, _PYRAMID, act=False, folded=folded) for tap in taps
        )
        self.smooth = nn.ModuleList(
            nn.Sequential(
                ConvUnit(_PYRAMID, _PYRAMID, kernel=3, groups=_PYRAMID, act=False, folded=folded),
                ConvUnit(_PYRAMID, _PYRAMID, folded=folded),
            )
            for _ in taps
        )
        self.head = nn.Conv2d(_PYRAMID, 1, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Logits at half the resolution."""
        x = self.stem(x)
        features = []
        for index, stage in enumerate(self.stages):
            x = stage(x)
            if index in _TAPS:
                features.append(x)
        # What the whole image is about, at every position.
        top = self.context(x.mean((2, 3), keepdim=True))
        for feature, lateral, smooth in zip(
            reversed(features), reversed(self.laterals), reversed(self.smooth), strict=True
        ):
            side = lateral(feature)
            top = smooth(side + F.interpolate(top, size=side.shape[-2:], mode="bilinear"))
        logits: Tensor = self.head(top)
        return logits


class ConvUnit(nn.Module):
    """Convolution, batch norm (or none, when folded), ReLU6 (or none)."""

    def __init__(
        self,
        inside: int,
        outside: int,
        *,
        kernel: int = 1,
        stride: int = 1,
        groups: int = 1,
        act: bool = True,
        folded: bool = False,
    ) -> None:
        super().__init__()
        # TensorFlow's "same": at stride 2 the extra column lies right and the extra row below.
        before = (kernel - stride) // 2 if stride > 1 else kernel // 2
        after = kernel - stride - before if stride > 1 else before
        self.uneven = (before, after, before, after) if before != after else None
        self.conv = nn.Conv2d(
            inside,
            outside,
            kernel,
            stride,
            padding=0 if self.uneven else before,
            groups=groups,
            bias=folded,
        )
        self.norm = nn.Identity() if folded else nn.BatchNorm2d(outside, eps=1e-3, momentum=0.01)
        self.act = nn.ReLU6(inplace=True) if act else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Float (N, inside, h, w) -> (N, outside, h / stride, w / stride)."""
        if self.uneven:
            x = F.pad(x, self.uneven)
        out: Tensor = self.act(self.norm(self.conv(x)))
        return out


class _Block(nn.Module):
    """Inverted residual: expand, filter each channel by itself, project."""

    def __init__(self, inside: int, stage: _Stage, stride: int, folded: bool) -> None:
        super().__init__()
        middle = inside * stage.expand
        self.units = nn.Sequential()
        if stage.expand > 1:
            self.units.append(ConvUnit(inside, middle, folded=folded))
        self.units.append(
            ConvUnit(
                middle, middle, kernel=stage.kernel, stride=stride, groups=middle, folded=folded
            )
        )
        self.units.append(ConvUnit(middle, stage.width, act=False, folded=folded))
        self.residual = stride == 1 and inside == stage.width

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.units(x)
        return x + out if self.residual else out


def fold_batch_norms(network: Lite0Saliency) -> dict[str, Tensor]:
    """A trained network's tensors with every batch norm worked into its convolution.

    Returns:
        the state dict of `Lite0Saliency(folded=True)`; `network` itself is left as it is.
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
