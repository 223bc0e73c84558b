"""U2-Net, a salient-object network, with the parameter names of its published weights.

Qin, Zhang, Huang, Dehghan, Zaiane, Jagersand: "U2-Net: Going Deeper with Nested U-Structure for
Salient Object Detection", Pattern Recognition 106 (2020). Written from the paper: figures 2 and 5
and table 1. Parameter names are those of the files `u2net.pth` and `u2netp.pth`.
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

Widths = Mapping[str, tuple[int, int, int]]

U2NET: Widths = {
    "stage1": (3, 32, 64),
    "stage2": (64, 32, 128),
    "stage3": (128, 64, 256),
    "stage4": (256, 128, 512),
    "stage5": (512, 256, 512),
    "stage6": (512, 256, 512),
    "stage5d": (1024, 256, 512),
    "stage4d": (1024, 128, 256),
    "stage3d": (512, 64, 128),
    "stage2d": (256, 32, 64),
    "stage1d": (128, 16, 64),
}
"""Channels (in, middle, out) of each stage: table 1, 44.0 M parameters."""

U2NETP: Widths = {
    stage: (3 if stage == "stage1" else 128 if stage.endswith("d") else 64, 16, 64)
    for stage in U2NET
}
"""U2-Net-p, the small variant: 1.13 M parameters."""

# Levels of the U inside each stage, by its number; 0 means dilated convolutions (RSU-4F).
_LEVELS = {"1": 7, "2": 6, "3": 5, "4": 4, "5": 0, "6": 0}


class U2Net(nn.Module):
    """U2-Net: normalised RGB, float (N, 3, H, W) -> logits, (N, 1, H, W), high is salient.

    The published network ends in a sigmoid, which is left out here. It was trained at 320 x 320.

    Args:
        widths: `U2NET` or `U2NETP`.
    """

    def __init__(self, widths: Widths) -> None:
        super().__init__()
        for stage, channels in widths.items():
            levels = _LEVELS[stage[5]]
            block = RSU(levels, *channels) if levels else RSU4F(*channels)
            self.add_module(stage, block)
        sides = ("stage1d", "stage2d", "stage3d", "stage4d", "stage5d", "stage6")
        for number, stage in enumerate(sides, start=1):
            self.add_module(f"side{number}", nn.Conv2d(widths[stage][2], 1, 3, padding=1))
        self.outconv = nn.Conv2d(6, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the logits of the fused map, (N, 1, H, W)."""
        size = x.shape[-2:]
        skips = []
        for number in range(1, 6):
            x = self.get_submodule(f"stage{number}")(x)
            skips.append(x)
            x = _pool(x)
        x = self.get_submodule("stage6")(x)
        sides = [self.get_submodule("side6")(x)]
        for number in range(5, 0, -1):
            skip = skips.pop()
            stage = self.get_submodule(f"stage{number}d")
            x = stage(torch.cat((_resize(x, skip.shape[-2:]), skip), 1))
            sides.append(self.get_submodule(f"side{number}")(x))
        maps = [_resize(side, size) for side in reversed(sides)]
        fused: Tensor = self.outconv(torch.cat(maps, 1))
        return fused


class RSU(nn.Module):
    """Residual U-block (figure 2 of the paper): a U of `levels` levels, added to its input."""

    def __init__(self, levels: int, in_channels: int, mid_channels: int, out_channels: int) -> None:
        super().__init__()
        self.levels = levels
        self.rebnconvin = _ConvUnit(in_channels, out_channels)
        self.add_module("rebnconv1", _ConvUnit(out_channels, mid_channels))
        for level in range(2, levels):
            self.add_module(f"rebnconv{level}", _ConvUnit(mid_channels, mid_channels))
            self.add_module(f"rebnconv{level}d", _ConvUnit(2 * mid_channels, mid_channels))
        self.add_module(f"rebnconv{levels}", _ConvUnit(mid_channels, mid_channels, dilation=2))
        self.add_module("rebnconv1d", _ConvUnit(2 * mid_channels, out_channels))

    def forward(self, x: Tensor) -> Tensor:
        """Map float (N, in_channels, h, w) to (N, out_channels, h, w)."""
        entry: Tensor = self.rebnconvin(x)
        x = entry
        skips = []
        for level in range(1, self.levels):
            x = self.get_submodule(f"rebnconv{level}")(x)
            skips.append(x)
            # The lowest two levels have the same resolution; the last one is dilated instead.
            if level < self.levels - 1:
                x = _pool(x)
        x = self.get_submodule(f"rebnconv{self.levels}")(x)
        for level in range(self.levels - 1, 0, -1):
            skip = skips.pop()
            joined = torch.cat((_resize(x, skip.shape[-2:]), skip), 1)
            x = self.get_submodule(f"rebnconv{level}d")(joined)
        return x.add_(entry)


class RSU4F(nn.Module):
    """Residual block with dilations 1, 2, 4, 8, for maps that are too small to pool further."""

    def __init__(self, in_channels: int, mid_channels: int, out_channels: int) -> None:
        super().__init__()
        self.rebnconvin = _ConvUnit(in_channels, out_channels)
        self.rebnconv1 = _ConvUnit(out_channels, mid_channels)
        self.rebnconv2 = _ConvUnit(mid_channels, mid_channels, dilation=2)
        self.rebnconv3 = _ConvUnit(mid_channels, mid_channels, dilation=4)
        self.rebnconv4 = _ConvUnit(mid_channels, mid_channels, dilation=8)
        self.rebnconv3d = _ConvUnit(2 * mid_channels, mid_channels, dilation=4)
        self.rebnconv2d = _ConvUnit(2 * mid_channels, mid_channels, dilation=2)
        self.rebnconv1d = _ConvUnit(2 * mid_channels, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map float (N, in_channels, h, w) to (N, out_channels, h, w)."""
        entry: Tensor = self.rebnconvin(x)
        skip1 = self.rebnconv1(entry)
        skip2 = self.rebnconv2(skip1)
        skip3 = self.rebnconv3(skip2)
        x = self.rebnconv3d(torch.cat((self.rebnconv4(skip3), skip3), 1))
        x = self.rebnconv2d(torch.cat((x, skip2), 1))
        x = self.rebnconv1d(torch.cat((x, skip1), 1))
        return x.add_(entry)


class _ConvUnit(nn.Module):
    """3 x 3 convolution, batch norm, ReLU."""

    def __init__(self, in_channels: int, out_channels: int, dilation: int = 1) -> None:
        super().__init__()
        self.conv_s1 = nn.Conv2d(in_channels, out_channels, 3, padding=dilation, dilation=dilation)
        self.bn_s1: nn.Module = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn_s1(self.conv_s1(x)), inplace=True)


def fold_batch_norms(network: U2Net) -> None:
    """Fold each batch norm into the convolution before it, in place, to save passes over memory.

    Args:
        network: network in evaluation mode, which can then no longer be trained.
    """
    for unit in network.modules():
        if isinstance(unit, _ConvUnit) and isinstance(unit.bn_s1, nn.BatchNorm2d):
            unit.conv_s1 = fuse_conv_bn_eval(unit.conv_s1, unit.bn_s1)
            unit.bn_s1 = nn.Identity()


def _pool(x: Tensor) -> Tensor:
    return F.max_pool2d(x, 2, ceil_mode=True)


def _resize(x: Tensor, size: torch.Size) -> Tensor:
    return F.interpolate(x, size=size, mode="bilinear", align_corners=False)
