"""The region of interest: its mask, and means under it.

A metric is an *L map* before its spatial mean. Over the whole image its number is `mean(L)`; under
the mask `R` it is `mean(L W)`, with weights `W` made from `R` once per reference and resolution.
A mask of ones gives weights of ones, hence exactly the basic number.
"""

from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

Weighting = Literal["mean", "normalised"]
WEIGHTINGS: tuple[Weighting, ...] = get_args(Weighting)

_WINDOW = 50
_BEFORE = _WINDOW // 2  # an even window has no centre: it covers rows i-25 .. i+24
_NO_ROI = 1e-6
_STRIP = 128


def smooth(saliency: Tensor) -> Tensor:
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


def area_average(mask: Tensor, height: int, width: int) -> Tensor:
    """Bring a mask to a map's resolution by averaging over the area of each of its cells.

    Args:
        mask: (N, H, W).
        height: of the map.
        width: of the map.

    Returns:
        (N, height, width), in the mask's range.
    """
    if mask.shape[1:] == (height, width):
        return mask
    return F.adaptive_avg_pool2d(mask, (height, width))


def weights(mask: Tensor, weighting: Weighting) -> Tensor:
    """Weights for which `mean(L weights)` is a metric: over the whole image, and under the mask.

    Under the mask, `mean` gives the paper's `mean(L R)`; `normalised` gives `sum(L R) / sum(R)`,
    and where the mask is empty, there being no region of interest, the basic `mean(L)`.

    Args:
        mask: `R` at the map's resolution, (N, h, w), in [0, 1].
        weighting: which of the two.

    Returns:
        (N, h, w, 2): ones, and `W`, whose mean is 1 if normalised.
    """
    ones = torch.ones_like(mask)
    if weighting == "normalised":
        mean = mask.mean((-2, -1), keepdim=True, dtype=torch.float64)
        mask = torch.where(mean < _NO_ROI, ones, (mask / mean).to(mask.dtype))
    return torch.stack([ones, mask], dim=-1)


def means(maps: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Spatial means of L maps, over the whole image and under the mask.

    Args:
        maps: (N, ..., h, w).
        weights: (N, h, w, 2), from `weights`, or (1, h, w, 2) for all of them.

    Returns:
        two of (N, ...), float64: sums over megapixels need more digits than the maps.
    """
    *shape, height, width = maps.shape
    if maps.device.type != "cpu":
        mask = weights[..., 1].view(len(weights), *[1] * (maps.ndim - 3), height, width)
        whole, under = (m.mean((-2, -1), dtype=torch.float64) for m in (maps, maps * mask))
        return whole, under
    # Sums over rows as products of matrices, both at once: a third of the time of two reductions.
    # In strips, as some processors' products add up in float32 from the first column to the last.
    maps = maps.reshape(len(weights), -1, height, width).transpose(1, 2)
    sums = maps.new_zeros(len(weights), maps.shape[2], 2, dtype=torch.float64)
    for start in range(0, width, _STRIP):
        strip = slice(start, start + _STRIP)
        sums += (maps[..., strip] @ weights[:, :, strip]).sum(dim=1, dtype=torch.float64)
    whole, under = (sums / (height * width)).reshape(*shape, 2).unbind(-1)
    return whole, under
