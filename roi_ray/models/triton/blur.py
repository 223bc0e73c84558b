# mypy: disable-error-code="no-untyped-def,untyped-decorator,no-untyped-call"
# ruff: noqa: ANN001, ANN202, N803
"""Triton kernel: max pooling of stride 1 and the blur that halves its output, in one pass.

Torch's operations would write the pooled values to memory at full resolution. Triton is installed
with torch for CUDA.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

_COLUMNS, _CHANNELS = 16, 64
_BLUR = 3
_BORDER = 2


def compute_blurred_pool(x: Tensor, filters: Tensor, window: int) -> Tensor:
    """Compute what `BlurredPool` does: max pooling, then `Blur`.

    Args:
        x: (N, C, h, w).
        filters: filters of the blur, (C, 1, 3, 3).
        window: side of the pooling window in pixels; stride 1, no padding.

    Returns:
        (N, C, (h' + 1) // 2 + 1, (w' + 1) // 2 + 1), where h' and w' are the sizes after pooling;
        the input's data type, channels-last memory format.
    """
    count, channels, height, width = x.shape
    pooled = [side - window + 1 for side in (height, width)]
    rows, columns = ((side + 1) // 2 + 1 for side in pooled)
    # No copy if the memory format is channels last, as it usually is.
    x = x.permute(0, 2, 3, 1).contiguous()
    out = x.new_empty(count, rows, columns, channels)
    grid = (count * rows, triton.cdiv(columns, _COLUMNS), triton.cdiv(channels, _CHANNELS))
    with torch.cuda.device_of(x):
        _blurred_pool[grid](
            x,
            filters.to(x.dtype).contiguous(),
            out,
            height,
            width,
            *pooled,
            rows,
            columns,
            TOTAL=channels,
            WINDOW=window,
            BLUR=_BLUR,
            BORDER=_BORDER,
            COLUMNS=_COLUMNS,
            CHANNELS=_CHANNELS,
        )
    return out.permute(0, 3, 1, 2)


_SIZES = ["height", "width", "pooled_height", "pooled_width", "rows", "columns"]


@triton.jit(do_not_specialize=_SIZES)
def _blurred_pool(
    x,
    filters,
    out,
    height,
    width,
    pooled_height,
    pooled_width,
    rows,
    columns,
    TOTAL: tl.constexpr,
    WINDOW: tl.constexpr,
    BLUR: tl.constexpr,
    BORDER: tl.constexpr,
    COLUMNS: tl.constexpr,
    CHANNELS: tl.constexpr,
):
    """Map (images, height, width, TOTAL) to (images, rows, columns, TOTAL)."""
    line = tl.program_id(0).to(tl.int64)
    row = line % rows
    column = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    channel = tl.program_id(2) * CHANNELS + tl.arange(0, CHANNELS)
    mask = (column < columns)[:, None] & (channel < TOTAL)[None, :]
    image = x + line // rows * height * width * TOTAL + channel[None, :]
    total = tl.zeros((COLUMNS, CHANNELS), tl.float32)
    for i in tl.static_range(BLUR):
        top = _reflect(2 * row + i - BORDER, pooled_height)
        for j in tl.static_range(BLUR):
            left = _reflect(2 * column + j - BORDER, pooled_width)
            largest = tl.full((COLUMNS, CHANNELS), float("-inf"), tl.float32)
            for k in tl.static_range(WINDOW * WINDOW):
                offset = ((top + k // WINDOW) * width + left + k % WINDOW)[:, None] * TOTAL
                value = tl.load(image + offset, mask=mask, other=0.0).to(tl.float32)
                largest = tl.maximum(largest, value, propagate_nan=tl.PropagateNan.ALL)
            tap = filters + channel * BLUR * BLUR + i * BLUR + j
            weight = tl.load(tap, mask=channel < TOTAL, other=0.0).to(tl.float32)
            total += largest * weight[None, :]
    offset = (line * columns + column)[:, None] * TOTAL + channel[None, :]
    tl.store(out + offset, total.to(out.dtype.element_ty), mask=mask)


@triton.jit
def _reflect(position, length):
    """Mirror a position before the first or after the last pixel."""
    position = tl.abs(position)
    return tl.where(position < length, position, 2 * (length - 1) - position)
