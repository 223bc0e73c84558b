"""The region of interest of one or several references, and the weights that maps get of it."""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from roi_ray.metrics.images import Strip
from roi_ray.metrics.roi import MaskRows, MaskView, mask_weights
from roi_ray.settings import EMPTY_MEAN, Weighting

_ROWS_AT_ONCE = 256

_Key = tuple[torch.dtype, Strip, int, MaskView, Weighting]


class Region:
    """The mask R of one reference.

    Weights of the mask are kept once they are computed, because they are the same for all distorted
    images.

    Args:
        values: the mask, (H, W): uint8, divided by 255; or floating-point in [0, 1].
    """

    def __init__(self, values: Tensor) -> None:
        self.values = values
        self.mean: Tensor = self._compute_mean()
        # Not by a method: a region in a cycle, and all its weights, would wait for the collector.
        self.rows = MaskRows(partial(_read, values), len(values))
        self.kept_weights: dict[_Key, Tensor] = {}
        self._map_means: dict[tuple[MaskView, int, int], Tensor] = {}

    @property
    def mask(self) -> Tensor:
        """The mask, floating-point, (H, W), in [0, 1]."""
        return self._as_float(self.values)

    def read(self, start: int, end: int) -> Tensor:
        """Read rows of the mask, float64, (1, rows, W), in [0, 1]."""
        return _read(self.values, start, end)

    def map_mean(self, view: MaskView, height: int, width: int) -> Tensor:
        """Average the mask as a map of this size sees it, float64, ()."""
        key = (view, height, width)
        if key not in self._map_means:
            total = self.mean.new_zeros(())
            for start in range(0, height, _ROWS_AT_ONCE):
                rows = Strip(start, min(start + _ROWS_AT_ONCE, height), height)
                total += view.resize_rows(self.rows, rows, width).sum()
            self._map_means[key] = total / (height * width)
        return self._map_means[key]

    def _compute_mean(self) -> Tensor:
        total = torch.zeros((), dtype=torch.float64, device=self.values.device)
        for start in range(0, len(self.values), _ROWS_AT_ONCE):
            rows = self.values[start : start + _ROWS_AT_ONCE]
            total += self._as_float(rows).sum(dtype=torch.float64)
        return total / self.values.numel()

    @staticmethod
    def _as_float(values: Tensor) -> Tensor:
        return values.float() / 255 if values.dtype == torch.uint8 else values


def _read(values: Tensor, start: int, end: int) -> Tensor:
    rows = values[None, start:end].double()
    return rows / 255 if values.dtype == torch.uint8 else rows


class Regions:
    """The regions of a batch: one for all images, or one per image.

    Args:
        regions: regions of masks of one size.
        weighting: weighting of the masks.

    Attributes:
        means: means of the masks, float64, (N,).
    """

    def __init__(self, regions: Sequence[Region], weighting: Weighting) -> None:
        self._regions, self._weighting = regions, weighting
        self.means = torch.stack([region.mean for region in regions])

    def has_region(self) -> Tensor:
        """Tell which masks have a region of interest: a mean of 1e-6 or more, bool (N,)."""
        return self.means >= EMPTY_MEAN

    def get_weights(self, view: MaskView, rows: Strip, width: int, dtype: torch.dtype) -> Tensor:
        """Return the weights under which rows of L maps are averaged.

        Args:
            view: how the maps see the mask.
            rows: the rows, of all rows of the maps.
            width: width of the maps.
            dtype: type of the maps.

        Returns:
            (N, h, w), contiguous, of the maps' type.
        """
        key = (dtype, rows, width, view, self._weighting)
        new = [region for region in dict.fromkeys(self._regions) if key not in region.kept_weights]
        if new:
            computed = self._compute(new, view, rows, width, dtype)
            for region, weights in zip(new, computed, strict=True):
                region.kept_weights[key] = weights[None].contiguous()
        kept = [region.kept_weights[key] for region in self._regions]
        return kept[0] if len(kept) == 1 else torch.cat(kept)

    def _compute(
        self, regions: Sequence[Region], view: MaskView, rows: Strip, width: int, dtype: torch.dtype
    ) -> Tensor:
        mask_height = len(regions[0].values)
        if rows.is_whole:
            masks = torch.cat([region.read(0, mask_height) for region in regions])
            resized = view.resize(masks, rows.height, width).to(dtype)
            return mask_weights(resized, self._weighting)
        parts = []
        for region in regions:
            part = view.resize_rows(region.rows, rows, width)
            # Computed only where it is needed, as it takes another pass over the mask.
            is_normalised = self._weighting == "normalised"
            mean = region.map_mean(view, rows.height, width) if is_normalised else None
            parts.append(mask_weights(part, self._weighting, mean).to(dtype))
        return torch.cat(parts)
