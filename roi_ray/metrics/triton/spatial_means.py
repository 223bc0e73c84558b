# mypy: disable-error-code="no-untyped-def,untyped-decorator,no-untyped-call"
# ruff: noqa: ANN001, ANN202, N803
"""Spatial means on a GPU, over the whole image and under the mask, from one look at a map.

torch's own operations look at it three times and write it once, in seven kernels, and a batch has a
dozen maps, most of them small. Written in Triton, which torch brings for CUDA.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

_BLOCK = 4096


def whole_and_masked_means(maps: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """As `roi_ray.metrics.roi.whole_and_masked_means`.

    Args:
        maps: float32, (N, ..., h, w).
        weights: float32, (1 or N, h, w).

    Returns:
        two of (N, ...), float64.
    """
    *shape, height, width = maps.shape
    area = height * width
    planes, blocks = maps.numel() // area, triton.cdiv(area, _BLOCK)
    sums = maps.new_empty(2, planes, blocks, dtype=torch.float64)
    sharing = planes // len(weights)
    with torch.cuda.device_of(maps):
        _sums_of_blocks[planes, blocks](
            maps.contiguous(), weights.contiguous(), sums, area, sharing, BLOCK=_BLOCK
        )
    whole, under = (sums.sum(-1) / area).view(2, *shape)
    return whole, under


@triton.jit(do_not_specialize=["sharing"])
def _sums_of_blocks(maps, weights, sums, area, sharing, BLOCK: tl.constexpr):
    """(planes, area) and (planes / sharing, area) -> (2, planes, blocks)."""
    plane = tl.program_id(0).to(tl.int64)
    block, blocks = tl.program_id(1), tl.num_programs(1)
    at = block * BLOCK + tl.arange(0, BLOCK)
    inside = at < area
    values = tl.load(maps + plane * area + at, mask=inside, other=0.0)
    weight = tl.load(weights + plane // sharing * area + at, mask=inside, other=0.0)
    # Within a block float32 is enough, as `tl.sum` adds neighbours first.
    out = sums + plane * blocks + block
    tl.store(out, tl.sum(values).to(tl.float64))
    tl.store(out + tl.num_programs(0).to(tl.int64) * blocks, tl.sum(values * weight).to(tl.float64))
