# mypy: disable-error-code="no-untyped-def,untyped-decorator,no-untyped-call"
# ruff: noqa: ANN001, ANN202, N803
"""LPIPS' distance of two layers on a GPU, in one pass over them.

torch's own operations write down a layer in float32, its features of unit length, their difference
and its square. Written in Triton, which torch brings for CUDA.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

_VALUES = 2048


def distance(x: Tensor, y: Tensor, head: Tensor) -> Tensor:
    """Weighted squared distance at each position.

    Args:
        x: the reference's features, of unit length, float32, (1 or N, C, h, w).
        y: a layer of the distorted images, (N, C, h, w).
        head: weights of the channels, float32, C of them.

    Returns:
        float32, (N, h, w).
    """
    count, channels, height, width = y.shape
    # As they lie there already: channels last.
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
    """(x_positions, CHANNELS) and (positions, CHANNELS) -> (positions,)."""
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    channel = tl.arange(0, PADDED)
    inside = (row < positions)[:, None] & (channel < CHANNELS)[None, :]
    at = row[:, None] * CHANNELS + channel[None, :]
    theirs = tl.load(y + at, mask=inside, other=0.0).to(tl.float32)
    length = tl.sqrt_rn(tl.sum(theirs * theirs, axis=1)) + 1e-10
    at = (row % x_positions)[:, None] * CHANNELS + channel[None, :]
    difference = tl.div_rn(theirs, length[:, None]) - tl.load(x + at, mask=inside, other=0.0)
    weight = tl.load(head + channel, mask=channel < CHANNELS, other=0.0)
    total = tl.sum(difference * difference * weight[None, :], axis=1)
    tl.store(out + row, total, mask=row < positions)
