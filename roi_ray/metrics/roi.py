"""The region of interest: its mask R, and means of L maps under it.

An *L map* is a metric before its spatial mean. The number of the whole image is `mean(L)`, the
number of the region of interest is `mean(L W)`, where the weights `W` are made from the mask `R`
once per reference and resolution. A mask of ones gives weights of ones, so that both numbers are
equal bit by bit.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from roi_ray.metrics.gaussian import MARGIN, exact_gaussian_means
from roi_ray.metrics.images import Strip, pad_to_min_side
from roi_ray.metrics.strips import RowBuffer
from roi_ray.runtime.triton import has_triton
from roi_ray.settings import Weighting

_BOX = 50
_BOX_ABOVE, _BOX_BELOW = 25, 24  # an even box has no centre: it covers rows i-25 .. i+24


def box_blur(saliency: Tensor, above: int = _BOX_ABOVE, below: int = _BOX_BELOW) -> Tensor:
    """Spread a saliency map over its neighbourhood: S of the mask `R = S(sigmoid(N(x)))`.

    The mean over a 50 x 50 box at stride 1; pixels outside the image count as 0.

    Args:
        saliency: (..., H, W), in [0, 1], high where people look.
        above: rows outside the image that the first boxes see; fewer if `saliency` is a window of
            rows, see `box_buffer`.
        below: likewise, the last boxes.

    Returns:
        (..., H + above + below - 49, W), in [0, 1], of the input's type.
    """
    sums = saliency.double()
    for dim, before, after in ((-2, above, below), (-1, _BOX_ABOVE, _BOX_BELOW)):
        length = sums.shape[dim]
        count = length + before + after - _BOX + 1
        position = torch.arange(count, device=sums.device) - before
        starts, ends = position.clamp(min=0), (position + _BOX).clamp(max=length)
        sums = window_sums(sums, dim, starts, ends)
    return (sums / _BOX**2).clamp(0, 1).to(saliency.dtype)


def box_buffer() -> RowBuffer:
    """Return the buffer for a saliency map that comes in strips, whose windows `box_blur` takes."""
    return RowBuffer(_BOX, padding=_BOX_ABOVE, padding_below=_BOX_BELOW)


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


class MaskRows:
    """A mask whose rows are read, and averaged over the cells of smaller maps.

    Args:
        read: reads rows of the mask, from one row to before another, float64, (1, rows, W), in
            [0, 1].
        height: height of the mask.
    """

    def __init__(self, read: Callable[[int, int], Tensor], height: int) -> None:
        self._read, self._height = read, height
        # The last rows of each map: the next ones overlap them.
        self._kept: dict[tuple[int, int, int], tuple[int, Tensor]] = {}

    def average_cells(self, rows: Strip, width: int, min_side: int = 0) -> Tensor:
        """Average the mask over the cells of some rows of a map, as `MaskView.resize` does.

        Args:
            rows: rows of the map.
            width: width of the map.
            min_side: see `MaskView`.

        Returns:
            (1, number of rows, width), in [0, 1].
        """
        key = (rows.height, width, min_side)
        start, kept = self._kept.get(key, (rows.start, None))
        end = start if kept is None else start + kept.shape[-2]
        if kept is None or not start <= rows.start <= end:
            cells = self._average_cells(rows, width, min_side)
        else:
            cells = kept[:, rows.start - start :]
            if end < rows.end:
                new = self._average_cells(Strip(end, rows.end, rows.height), width, min_side)
                cells = torch.cat([cells, new], dim=-2)
        self._kept[key] = (rows.start, cells)
        return cells[:, : rows.end - rows.start]

    def _average_cells(self, rows: Strip, width: int, min_side: int) -> Tensor:
        tops, bottoms = _cell_edges(max(self._height, min_side), rows.height)
        tops, bottoms = tops[rows.start : rows.end], bottoms[rows.start : rows.end]
        first = int(tops[0])
        mask = self._read_padded(first, int(bottoms[-1]), min_side)
        for dim, starts, ends in (
            (-2, tops - first, bottoms - first),
            (-1, *_cell_edges(mask.shape[-1], width)),
        ):
            if len(starts) < mask.shape[dim]:
                sums = window_sums(mask, dim, starts.to(mask.device), ends.to(mask.device))
                counts = (ends - starts).to(mask)
                mask = sums / (counts[:, None] if dim == -2 else counts)
        return mask

    def _read_padded(self, start: int, end: int, min_side: int) -> Tensor:
        """Read rows of the mask as `pad_to_min_side` pads it."""
        mask = self._read(min(start, self._height - 1), min(end, self._height))
        padding = (0, max(0, min_side - mask.shape[-1]), 0, max(0, end - self._height))
        if any(padding):
            mask = F.pad(mask[:, None], padding, mode="replicate")[:, 0]
        return mask[:, start - end :]  # the row that was repeated may not be one of them


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

    def resize_rows(self, mask: MaskRows, rows: Strip, width: int) -> Tensor:
        """Bring a mask to some rows of the resolution of an L map.

        Args:
            mask: the mask.
            rows: the rows of the map.
            width: width of the map.

        Returns:
            (1, number of rows, width): the rows of what `resize` returns, to 1e-12.
        """
        return mask.average_cells(rows, width, self.min_side)


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

    def resize_rows(self, mask: MaskRows, rows: Strip, width: int) -> Tensor:
        """See `MaskView.resize_rows`."""
        wider = Strip(rows.start, rows.end + 2 * MARGIN, rows.height + 2 * MARGIN)
        return exact_gaussian_means(super().resize_rows(mask, wider, width + 2 * MARGIN))


def _cell_edges(length: int, cells: int) -> tuple[Tensor, Tensor]:
    """Return where each of the cells of a length starts and ends; neighbours may overlap by one."""
    numbers = torch.arange(cells)
    return numbers * length // cells, ((numbers + 1) * length + cells - 1) // cells


def window_sums(values: Tensor, dim: int, starts: Tensor, ends: Tensor) -> Tensor:
    """Sum over windows along a dimension, in the same time for windows of any length.

    Args:
        values: float64, because the sums over a large image leave float32 no digits for their
            differences.
        dim: the dimension.
        starts: first position of each window, int64.
        ends: position after the last one.
    """
    zeros = values.new_zeros(values.narrow(dim, 0, 1).shape)
    running = torch.cat([zeros, values.cumsum(dim)], dim)
    return running.index_select(dim, ends) - running.index_select(dim, starts)


def mask_weights(mask: Tensor, weighting: Weighting, mean: Tensor | None = None) -> Tensor:
    """Compute the weights `W` for which `mean(L W)` is the metric under the mask.

    `mean` gives the paper's mean(L R), `normalised` sum(L R) / sum(R).

    Args:
        mask: `R` at the map's resolution, (N, h, w), in [0, 1].
        weighting: `mean` or `normalised`.
        mean: mean of the whole mask, if `mask` is some rows of it.

    Returns:
        `W`, (N, h, w), 0 or more; its mean is 1 if normalised, or 0 if the mask is 0 everywhere.
    """
    if weighting == "mean":
        return mask
    if mean is None:
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
