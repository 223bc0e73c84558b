# mypy: disable-error-code="no-untyped-def,untyped-decorator,no-untyped-call"
# ruff: noqa: ANN001, ANN202, N803
"""Triton kernel: LPIPS' distance of two layers, in one pass.

Torch's operations would write to memory the layer in float32, the normalised features, their
difference and its square. Triton is installed with torch for CUDA.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

_VALUES = 2048


def compute_distance(x: Tensor, y: Tensor, head: Tensor) -> Tensor:
    """Compute the weighted squared distance at each position.

    Args:
        x: features of the reference, normalised to unit length, float32, (1 or N, C, h, w).
        y: activations of the distorted images, (N, C, h, w).
        head: weights of the channels, float32, C values of any shape.

    Returns:
        float32, (N, h, w): 0 or more, lower is better.
    """
    count, channels, height, width = y.shape
    # No copies if the memory format is channels last, as it usually is.
    x, y = (layer.permute(0, 2, 3, 1).contiguous() for layer in (x, y))
    out = head.new_empty(count, height, width)
    padded = triton.next_power_of_2(channels)
    rows = max(1, _VALUES // padded)
    with torch.cuda.device_of(y):
        _distance[(triton.cdiv(out.numel(), rows),)](
            x,
            y,
            head,
            out,
            out.numel(),
            x.numel() // channels,
            CHANNELS=channels,
            PADDED=padded,
            ROWS=rows,
        )
    return out


@triton.jit(do_not_specialize=["positions", "x_positions"])
def _distance(
    x,
    y,
    head,
    out,
    positions,
    x_positions,
    CHANNELS: tl.constexpr,
    PADDED: tl.constexpr,
    ROWS: tl.constexpr,
):
    """Map (x_positions, CHANNELS) and (positions, CHANNELS) to (positions,)."""
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    channel = tl.arange(0, PADDED)
    mask = (row < positions)[:, None] & (channel < CHANNELS)[None, :]
    offset = row[:, None] * CHANNELS + channel[None, :]
    activation = tl.load(y + offset, mask=mask, other=0.0).to(tl.float32)
    length = tl.sqrt_rn(tl.sum(activation * activation, axis=1)) + 1e-10
    offset = (row % x_positions)[:, None] * CHANNELS + channel[None, :]
    feature = tl.load(x + offset, mask=mask, other=0.0)
    difference = tl.div_rn(activation, length[:, None]) - feature
    weight = tl.load(head + channel, mask=channel < CHANNELS, other=0.0)
    total = tl.sum(difference * difference * weight[None, :], axis=1)
    tl.store(out + row, total, mask=row < positions)
