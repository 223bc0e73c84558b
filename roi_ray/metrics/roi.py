"""The region of interest: its mask, and means under it.

A metric is an *L map* before its spatial mean. Over the whole image its number is `mean(L)`; under
the mask `R` it is `mean(L W)`, with weights `W` made from `R` once per reference and resolution.
A mask of ones gives weights of ones, hence exactly the basic number.
"""

from typing import get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from roi_ray.runtime.triton import has_triton
from roi_ray.settings import Weighting

WEIGHTINGS: tuple[Weighting, ...] = get_args(Weighting)

_WINDOW = 50
_BEFORE = _WINDOW // 2  # an even window has no centre: it covers rows i-25 .. i+24
_NO_ROI = 1e-6


def box_blur(saliency: Tensor) -> Tensor:
    """Spread a saliency map over its neighbourhood: the mask `R = S(sigmoid(N(x)))`.

    A 50 x 50 box filter of stride 1; outside the image counts as 0.

    Args:
        saliency: (..., H, W), in [0, 1], high where people look.

    Returns:
        (..., H, W), in [0, 1], of the input's type.
    """
    # Differences of running sums cost the same for any window. float64, because the sums of a
    # large image leave float32 no digits for the difference.
    sums = saliency.double()
    for dim in (-2, -1):
        length = sums.shape[dim]
        padded = torch.cat([sums.new_zeros(sums.narrow(dim, 0, 1).shape), sums.cumsum(dim)], dim)
        at = torch.arange(length, device=sums.device)
        last = (at + _WINDOW - _BEFORE).clamp(max=length)
        first = (at - _BEFORE).clamp(min=0)
        sums = padded.index_select(dim, last) - padded.index_select(dim, first)
    return (sums / _WINDOW**2).clamp(0, 1).to(saliency.dtype)


def resize_mask(mask: Tensor, height: int, width: int, margin: int = 0) -> Tensor:
    """Bring a mask to a map's resolution by averaging over the area of each of its cells.

    Args:
        mask: (N, H, W).
        height: of the map.
        width: of the map.
        margin: that the map has lost on each side, as SSIM's has.

    Returns:
        (N, height, width), in the mask's range.
    """
    whole = (height + 2 * margin, width + 2 * margin)
    if mask.shape[1:] != whole:
        mask = F.adaptive_avg_pool2d(mask, whole)
    return mask[:, margin : margin + height, margin : margin + width]


def mask_weights(mask: Tensor, weighting: Weighting) -> Tensor:
    """`W`, for which `mean(L W)` is the metric under the mask.

    `mean` gives the paper's `mean(L R)`; `normalised` gives `sum(L R) / sum(R)`, and where the mask
    is empty, there being no region of interest, the basic `mean(L)`. Empty: its mean is below 1e-6.

    Args:
        mask: `R` at the map's resolution, (N, h, w), in [0, 1].
        weighting: which of the two.

    Returns:
        `W`, (N, h, w); its mean is 1 if normalised, and it is 1 everywhere where a map has no ROI
        left, as at SSIM's coarse scales, whose margin may hold all of it.
    """
    if weighting == "mean":
        return mask
    mean = mask.mean((-2, -1), keepdim=True, dtype=torch.float64)
    return torch.where(mean < _NO_ROI, torch.ones_like(mask), (mask / mean).to(mask.dtype))


def whole_and_masked_means(maps: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Spatial means of L maps, over the whole image and under the mask.

    Args:
        maps: (N, ..., h, w).
        weights: (N, h, w), from `mask_weights`, or (1, h, w) for all of them.

    Returns:
        two of (N, ...), float64: sums over megapixels need more digits than the maps.
    """
    if maps.is_cuda and has_triton():
        from roi_ray.metrics.triton import spatial_means

        return spatial_means.whole_and_masked_means(maps, weights)
    weights = weights.view(len(weights), *[1] * (maps.ndim - 3), *maps.shape[-2:])
    return spatial_mean(maps), spatial_mean(maps * weights)


def spatial_mean(maps: Tensor) -> Tensor:
    """Spatial means of L maps, (..., h, w) -> (...), float64."""
    height, width = maps.shape[-2:]
    # Within a row the maps' own digits are enough, and many times as fast.
    return maps.sum(-1).sum(-1, dtype=torch.float64) / (height * width)
