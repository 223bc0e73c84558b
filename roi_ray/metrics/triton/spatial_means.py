# mypy: disable-error-code="no-untyped-def,untyped-decorator,no-untyped-call"
# ruff: noqa: ANN001, ANN202, N803
"""Spatial means on a GPU, over the whole image and under the mask, in one pass over each map.

torch's own operations read a map three times and write it once, in seven kernels; a batch has a
dozen maps, most of them small.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

_BLOCK = 4096


def whole_and_masked_means(maps: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Compute what `roi_ray.metrics.roi.whole_and_masked_means` does.

    Args:
        maps: float32 or float64, (N, ..., h, w).
        weights: the same type as the maps, (1 or N, h, w).

    Returns:
        both means, (N, ...), float64.
    """
    *shape, height, width = maps.shape
    area = height * width
    planes, blocks = maps.numel() // area, triton.cdiv(area, _BLOCK)
    sums = maps.new_empty(2, planes, blocks, dtype=torch.float64)
    planes_per_weight = planes // len(weights)
    with torch.cuda.device_of(maps):
        _sum_blocks[planes, blocks](
            maps.contiguous(), weights.contiguous(), sums, area, planes_per_weight, BLOCK=_BLOCK
        )
    whole, masked = (sums.sum(-1) / area).view(2, *shape)
    return whole, masked


@triton.jit(do_not_specialize=["planes_per_weight"])
def _sum_blocks(maps, weights, sums, area, planes_per_weight, BLOCK: tl.constexpr):
    """Map (planes, area) and (planes / planes_per_weight, area) to (2, planes, blocks)."""
    plane = tl.program_id(0).to(tl.int64)
    block, blocks = tl.program_id(1), tl.num_programs(1)
    position = block * BLOCK + tl.arange(0, BLOCK)
    valid = position < area
    values = tl.load(maps + plane * area + position, mask=valid, other=0.0)
    weight = tl.load(weights + plane // planes_per_weight * area + position, mask=valid, other=0.0)
    # Within a block the type of the maps is enough, as `tl.sum` adds neighbours first.
    whole = sums + plane * blocks + block
    masked = whole + tl.num_programs(0).to(tl.int64) * blocks
    tl.store(whole, tl.sum(values).to(tl.float64))
    tl.store(masked, tl.sum(values * weight).to(tl.float64))
