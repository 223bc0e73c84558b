"""The region of interest: its mask R, and means of L maps under it.

An *L map* is a metric before its spatial mean. The number of the whole image is `mean(L)`, the
number of the region of interest is `mean(L W)`, where the weights `W` are made from the mask `R`
once per reference and resolution. A mask of ones gives weights of ones, so that both numbers are
equal bit by bit.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from roi_ray.metrics.gaussian import MARGIN, exact_gaussian_means
from roi_ray.metrics.images import pad_to_min_side
from roi_ray.runtime.triton import has_triton
from roi_ray.settings import Weighting

_BOX = 50
_BOX_BEFORE = _BOX // 2  # an even box has no centre: it covers rows i-25 .. i+24
EMPTY_MEAN = 1e-6
"""Below this mean of the mask there is no region of interest, and no number for it."""


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


def resize_mask(mask: Tensor, height: int, width: int) -> Tensor:
    """Bring a mask to another resolution: the mean over the area of each of its cells.

    Args:
        mask: (N, H, W).
        height: height of the result.
        width: width of the result.

    Returns:
        (N, height, width), in the mask's range.
    """
    if mask.shape[1:] != (height, width):
        mask = F.adaptive_avg_pool2d(mask, (height, width))
    return mask


@dataclass(frozen=True)
class MaskView:
    """How a position of an L map sees the mask: as the mean over the area of its cell.

    Attributes:
        min_side: side to which `pad_to_min_side` pads the images of which the map is made.
    """

    min_side: int = 0

    def resize(self, mask: Tensor, height: int, width: int) -> Tensor:
        """Bring a mask to the resolution of an L map.

        Args:
            mask: (N, H, W), in [0, 1].
            height: height of the map.
            width: width of the map.

        Returns:
            (N, height, width), in [0, 1]; ones for a mask of ones.
        """
        return resize_mask(pad_to_min_side(mask[:, None], self.min_side)[:, 0], height, width)

    def make_weights(self, mask: Tensor, maps: Tensor, weighting: Weighting) -> Tensor:
        """Compute the weights under which L maps are averaged.

        Args:
            mask: (N, H, W), in [0, 1], float64.
            maps: the L maps, (N, ..., h, w).
            weighting: see `mask_weights`.

        Returns:
            (N, h, w), of the maps' type.
        """
        resized = self.resize(mask, *maps.shape[-2:])
        return mask_weights(resized.to(maps.dtype), weighting)


@dataclass(frozen=True)
class GaussianView(MaskView):
    """View through SSIM's window: a value of its map summarises 11 x 11 pixels.

    Otherwise a region near the border would have no weight at the coarse scales, where the five
    rows that the map loses on each side are up to 80 rows of the image.
    """

    def resize(self, mask: Tensor, height: int, width: int) -> Tensor:
        """See `MaskView.resize`; the mask is averaged over the window around each position."""
        mask = super().resize(mask, height + 2 * MARGIN, width + 2 * MARGIN)
        # In float64 a mask of ones gives ones, to the last bit of a float32 map.
        return exact_gaussian_means(mask)


def has_region(mask: Tensor) -> Tensor:
    """Tell which masks, (N, H, W), have a region of interest: a mean of 1e-6 or more, bool (N,)."""
    return mask.mean((-2, -1), dtype=torch.float64) >= EMPTY_MEAN


def mask_weights(mask: Tensor, weighting: Weighting) -> Tensor:
    """Compute the weights `W` for which `mean(L W)` is the metric under the mask.

    `mean` gives the paper's mean(L R), `normalised` sum(L R) / sum(R).

    Args:
        mask: `R` at the map's resolution, (N, h, w), in [0, 1].
        weighting: `mean` or `normalised`.

    Returns:
        `W`, (N, h, w), 0 or more; its mean is 1 if normalised, or 0 if the mask is 0 everywhere.
    """
    if weighting == "mean":
        return mask
    mean = mask.mean((-2, -1), keepdim=True, dtype=torch.float64)
    return (mask / mean.clamp(min=torch.finfo(torch.float64).tiny)).to(mask.dtype)


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


def spatial_mean(maps: Tensor) -> Tensor:
    """Average L maps over their positions, (..., h, w) -> (...), float64."""
    height, width = maps.shape[-2:]
    # Within a row the type of the maps has enough digits, and is many times as fast.
    return maps.sum(-1).sum(-1, dtype=torch.float64) / (height * width)
