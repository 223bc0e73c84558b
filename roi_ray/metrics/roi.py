"""The region of interest: its mask R, and means of L maps under it.

An *L map* is a metric before its spatial mean. The number of the whole image is `mean(L)`, the
number of the region of interest is `mean(L W)`, where the weights `W` are made from the mask `R`
once per reference and resolution. A mask of ones gives weights of ones, so that both numbers are
equal bit by bit.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from roi_ray.metrics.inputs import check_mask, check_weighting
from roi_ray.runtime.triton import has_triton
from roi_ray.settings import Weighting

_BOX = 50
_BOX_BEFORE = _BOX // 2  # an even box has no centre: it covers rows i-25 .. i+24
_EMPTY_MEAN = 1e-6


def box_blur(saliency: Tensor) -> Tensor:
    """Spread a saliency map over its neighbourhood: S of the mask `R = S(sigmoid(N(x)))`.

    The mean over a 50 x 50 box at stride 1; pixels outside the image count as 0.

    Args:
        saliency: (..., H, W), in [0, 1], high where people look.

    Returns:
        (..., H, W), in [0, 1], of the input's type.
    """
    # Differences of running sums take the same time for any box. float64, because the sums over a
    # large image leave float32 no digits for the difference.
    sums = saliency.double()
    for dim in (-2, -1):
        length = sums.shape[dim]
        running = torch.cat([sums.new_zeros(sums.narrow(dim, 0, 1).shape), sums.cumsum(dim)], dim)
        position = torch.arange(length, device=sums.device)
        end = (position + _BOX - _BOX_BEFORE).clamp(max=length)
        start = (position - _BOX_BEFORE).clamp(min=0)
        sums = running.index_select(dim, end) - running.index_select(dim, start)
    return (sums / _BOX**2).clamp(0, 1).to(saliency.dtype)


def resize_mask(mask: Tensor, height: int, width: int, margin: int = 0) -> Tensor:
    """Bring a mask to the resolution of an L map: the mean over the area of each of its cells.

    Args:
        mask: (N, H, W).
        height: height of the map.
        width: width of the map.
        margin: rows and columns that the map lost on each side, as with SSIM's valid window.

    Returns:
        (N, height, width), in the mask's range.
    """
    full_size = (height + 2 * margin, width + 2 * margin)
    if mask.shape[1:] != full_size:
        mask = F.adaptive_avg_pool2d(mask, full_size)
    return mask[:, margin : margin + height, margin : margin + width]


def mask_weights(mask: Tensor, weighting: Weighting) -> Tensor:
    """Compute the weights `W` for which `mean(L W)` is the metric under the mask.

    `mean` gives the paper's mean(L R). `normalised` gives sum(L R) / sum(R); where the mask is
    empty (its mean is below 1e-6), there is no region of interest, and the weights are 1, which
    gives the number of the whole image. A mask may also be empty only at SSIM's coarse scales,
    whose lost margin can hold all of it.

    Args:
        mask: `R` at the map's resolution, (N, h, w), in [0, 1].
        weighting: `mean` or `normalised`.

    Returns:
        `W`, (N, h, w), 0 or more; its mean is 1 if normalised.
    """
    if weighting == "mean":
        return mask
    mean = mask.mean((-2, -1), keepdim=True, dtype=torch.float64)
    return torch.where(mean < _EMPTY_MEAN, torch.ones_like(mask), (mask / mean).to(mask.dtype))


def whole_and_masked_means(maps: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Compute the spatial means of L maps, over the whole image and under the mask.

    Args:
        maps: (N, ..., h, w).
        weights: from `mask_weights`, (N, h, w), or (1, h, w) for all maps.

    Returns:
        both means, (N, ...), float64: sums over megapixels need more digits than the maps have.
    """
    if maps.is_cuda and has_triton():
        from roi_ray.metrics.triton import spatial_means

        return spatial_means.whole_and_masked_means(maps, weights)
    weights = weights.view(len(weights), *[1] * (maps.ndim - 3), *maps.shape[-2:])
    return spatial_mean(maps), spatial_mean(maps * weights)


def mean_in_region(
    maps: Tensor, images: Tensor, mask: Tensor | None, weighting: Weighting, margin: int = 0
) -> Tensor:
    """Compute the spatial means of L maps, under a mask if there is one.

    Args:
        maps: (N, ..., h, w).
        images: the distorted images, (N, 3, H, W).
        mask: the region of interest; see `check_mask`. None for the whole image.
        weighting: see `mask_weights`.
        margin: see `resize_mask`.

    Returns:
        (N, ...), float64.

    Raises:
        UsageError, SizeMismatch: the mask or the weighting cannot be used.
    """
    check_weighting(weighting)
    if mask is None:
        return spatial_mean(maps)
    height, width = maps.shape[-2:]
    resized = resize_mask(check_mask(mask, images, maps.dtype), height, width, margin)
    return whole_and_masked_means(maps, mask_weights(resized, weighting))[1]


def spatial_mean(maps: Tensor) -> Tensor:
    """Average L maps over their positions, (..., h, w) -> (...), float64."""
    height, width = maps.shape[-2:]
    # Within a row the type of the maps has enough digits, and is many times as fast.
    return maps.sum(-1).sum(-1, dtype=torch.float64) / (height * width)
