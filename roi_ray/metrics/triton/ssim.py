# mypy: disable-error-code="no-untyped-def,untyped-decorator,no-untyped-call"
# ruff: noqa: ANN001, ANN202, N803
"""SSIM on a GPU in two passes: filter the rows; then filter the columns and compare.

torch's own operations take more than ten passes, and its single-channel convolutions several times
as long as reading and writing the memory would take.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

_ROWS, _COLUMNS = 8, 128


def similarity_map(
    x: Tensor,
    y: Tensor,
    x_mean: Tensor,
    x_variance: Tensor,
    taps: Tensor,
    constants: tuple[float, float],
    luminance: bool,
) -> Tensor:
    """Compute SSIM's contrast-structure; with `luminance`, full SSIM.

    Args:
        x: reference, float32, contiguous, (1 or N, 3, H, W).
        y: distorted, float32, contiguous, (N, 3, H, W).
        x_mean: local means of `x`, (1 or N, 3, h, w).
        x_variance: local variances of `x`, of the same shape.
        taps: the window, float32, (T,), with h = H - T + 1 and w = W - T + 1.
        constants: SSIM's C1 and C2.
        luminance: whether to multiply by the luminance term.

    Returns:
        (N, 3, h, w), in [-1, 1]; higher is better.
    """
    planes, window = len(y) * y.shape[1], len(taps)
    height, width = (side - window + 1 for side in y.shape[-2:])
    filtered = y.new_empty(planes, 3, height, y.shape[-1])
    out = y.new_empty(*y.shape[:2], height, width)
    x_planes = len(x) * x.shape[1]

    def grid(columns: int) -> tuple[int, int, int]:
        return planes, triton.cdiv(height, _ROWS), triton.cdiv(columns, _COLUMNS)

    sizes = {"TAPS": window, "ROWS": _ROWS, "COLUMNS": _COLUMNS}
    with torch.cuda.device_of(y):
        _filter_rows[grid(y.shape[-1])](
            x, y, taps, filtered, x_planes, height, y.shape[-1], **sizes
        )
        _filter_columns_and_compare[grid(width)](
            filtered,
            x_mean.contiguous(),
            x_variance.contiguous(),
            taps,
            out,
            x_planes,
            height,
            width,
            *constants,
            LUMINANCE=luminance,
            **sizes,
        )
    return out


@triton.jit(do_not_specialize=["x_planes", "height", "width"])
def _filter_rows(
    x,
    y,
    taps,
    filtered,
    x_planes,
    height,
    width,
    TAPS: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """Filter y, y y and x y: (planes, height + TAPS - 1, width) -> (planes, 3, height, width)."""
    plane = tl.program_id(0).to(tl.int64)
    row = tl.program_id(1) * ROWS + tl.arange(0, ROWS)[:, None]
    column = tl.program_id(2) * COLUMNS + tl.arange(0, COLUMNS)[None, :]
    valid = (row < height) & (column < width)
    position = row * width + column
    area = (height + TAPS - 1) * width
    mean = tl.zeros((ROWS, COLUMNS), tl.float32)
    square = tl.zeros((ROWS, COLUMNS), tl.float32)
    product = tl.zeros((ROWS, COLUMNS), tl.float32)
    for tap in tl.static_range(TAPS):
        weight = tl.load(taps + tap)
        a = tl.load(x + plane % x_planes * area + position + tap * width, mask=valid, other=0.0)
        b = tl.load(y + plane * area + position + tap * width, mask=valid, other=0.0)
        mean += weight * b
        square += weight * (b * b)
        product += weight * (a * b)
    area = height * width
    out = filtered + plane * 3 * area + position
    tl.store(out, mean, mask=valid)
    tl.store(out + area, square, mask=valid)
    tl.store(out + 2 * area, product, mask=valid)


@triton.jit(do_not_specialize=["x_planes", "height", "width"])
def _filter_columns_and_compare(
    filtered,
    x_mean,
    x_variance,
    taps,
    out,
    x_planes,
    height,
    width,
    c1,
    c2,
    LUMINANCE: tl.constexpr,
    TAPS: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """Filter and compare: (planes, 3, height, width + TAPS - 1) -> (planes, height, width)."""
    plane = tl.program_id(0).to(tl.int64)
    row = tl.program_id(1) * ROWS + tl.arange(0, ROWS)[:, None]
    column = tl.program_id(2) * COLUMNS + tl.arange(0, COLUMNS)[None, :]
    valid = (row < height) & (column < width)
    filtered_width = width + TAPS - 1
    area = height * filtered_width
    source = filtered + plane * 3 * area + row * filtered_width + column
    mean = tl.zeros((ROWS, COLUMNS), tl.float32)
    square = tl.zeros((ROWS, COLUMNS), tl.float32)
    product = tl.zeros((ROWS, COLUMNS), tl.float32)
    for tap in tl.static_range(TAPS):
        weight = tl.load(taps + tap)
        mean += weight * tl.load(source + tap, mask=valid, other=0.0)
        square += weight * tl.load(source + area + tap, mask=valid, other=0.0)
        product += weight * tl.load(source + 2 * area + tap, mask=valid, other=0.0)
    position = row * width + column
    x_position = plane % x_planes * height * width + position
    reference_mean = tl.load(x_mean + x_position, mask=valid, other=0.0)
    variances = square - mean * mean + tl.load(x_variance + x_position, mask=valid, other=0.0)
    similar = (2 * (product - reference_mean * mean) + c2) / (variances + c2)
    if LUMINANCE:
        similar *= (2 * reference_mean * mean + c1) / (
            reference_mean * reference_mean + mean * mean + c1
        )
    tl.store(out + plane * height * width + position, similar, mask=valid)
