# mypy: disable-error-code="no-untyped-def,untyped-decorator,no-untyped-call"
# ruff: noqa: ANN001, ANN202, N803
"""Pooling of stride 1 and the blur that halves what it gives, on a GPU in one pass.

torch's own operations write down what is pooled, at full resolution. Written in Triton, which torch
brings for CUDA.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

_COLUMNS, _CHANNELS = 16, 64
_BLUR = 3
_BORDER = 2


def blurred_pool(x: Tensor, filters: Tensor, window: int) -> Tensor:
    """`Blur` of the maxima over a window.

    Args:
        x: (N, C, h, w).
        filters: of the blur, (C, 1, 3, 3).
        window: of the pooling, in pixels; its stride is 1, and it has no border.

    Returns:
        (N, C, (h' + 1) // 2 + 1, (w' + 1) // 2 + 1), of the input's type, for h' x w' as pooled;
        channels last.
    """
    count, channels, height, width = x.shape
    pooled = [side - window + 1 for side in (height, width)]
    rows, columns = ((side + 1) // 2 + 1 for side in pooled)
    # As it lies there already: channels last.
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
    """(images, height, width, TOTAL) -> (images, rows, columns, TOTAL)."""
    line = tl.program_id(0).to(tl.int64)
    row = line % rows
    column = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    channel = tl.program_id(2) * CHANNELS + tl.arange(0, CHANNELS)
    inside = (column < columns)[:, None] & (channel < TOTAL)[None, :]
    image = x + line // rows * height * width * TOTAL + channel[None, :]
    total = tl.zeros((COLUMNS, CHANNELS), tl.float32)
    for i in tl.static_range(BLUR):
        top = _reflected(2 * row + i - BORDER, pooled_height)
        for j in tl.static_range(BLUR):
            left = _reflected(2 * column + j - BORDER, pooled_width)
            largest = tl.full((COLUMNS, CHANNELS), float("-inf"), tl.float32)
            for k in tl.static_range(WINDOW * WINDOW):
                at = ((top + k // WINDOW) * width + left + k % WINDOW)[:, None] * TOTAL
                value = tl.load(image + at, mask=inside, other=0.0).to(tl.float32)
                largest = tl.maximum(largest, value, propagate_nan=tl.PropagateNan.ALL)
            tap = filters + channel * BLUR * BLUR + i * BLUR + j
            weight = tl.load(tap, mask=channel < TOTAL, other=0.0).to(tl.float32)
            total += largest * weight[None, :]
    at = (line * columns + column)[:, None] * TOTAL + channel[None, :]
    tl.store(out + at, total.to(out.dtype.element_ty), mask=inside)


@triton.jit
def _reflected(at, length):
    """A position before the first or behind the last, mirrored at it."""
    at = tl.abs(at)
    return tl.where(at < length, at, 2 * (length - 1) - at)
