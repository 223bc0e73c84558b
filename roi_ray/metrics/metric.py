"""The door by which a metric enters the scorer.

A metric makes maps of a pair, and turns the spatial means of its maps into numbers. The scorer
takes the means twice, over the whole image and under the mask, so that every number `NAME` has its
`roi_NAME`. `README.md` explains how to add a metric.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from roi_ray.metrics.images import ImagePair, Images
from roi_ray.metrics.inputs import check_images, check_mask, check_weighting
from roi_ray.metrics.roi import (
    MaskView,
    has_region,
    spatial_mean,
    whole_and_masked_means,
)
from roi_ray.settings import Weighting


class Metric(ABC):
    """A full-reference metric.

    Attributes:
        name: name of the metric, unique.
        mask_view: how a position of a map sees the mask.
    """

    name: str
    mask_view: MaskView = MaskView()

    def prepare(self, references: Images) -> Sequence[Tensor]:
        """Compute what depends on references alone; once per reference of a sweep.

        Returns:
            tensors (N, ...), one entry per reference, which `compute_maps` is given again.
        """
        return ()

    @abstractmethod
    def compute_maps(self, prepared: Sequence[Tensor], pair: ImagePair) -> Iterable[Tensor]:
        """Compute the L maps of distorted images.

        Args:
            prepared: output of `prepare` for one reference, or for one per distorted image.
            pair: the distorted images and their references.

        Returns:
            maps (N, ..., h, w), float32 or float64. A generator saves memory: each map is averaged
            before the next one is computed.
        """

    @abstractmethod
    def combine(self, means: list[Tensor]) -> dict[str, Tensor]:
        """Turn the maps' spatial means into numbers.

        Args:
            means: one (N, ...) per map, float64: over the whole image, or under the mask.

        Returns:
            numbers (N,) by column, without the prefix `roi_`.
        """


@torch.no_grad()
def compute_metric(
    metric: Metric, x: Tensor, y: Tensor, mask: Tensor | None, weighting: Weighting
) -> dict[str, Tensor]:
    """Compute the numbers of a metric for tensors; the public functions of metrics call this.

    Args:
        metric: the metric.
        x: reference, (3, H, W) or (N, 3, H, W); floating-point in [0, 1], or uint8 in 0..255.
        y: distorted, likewise; N images are compared with one reference, or each with its own.
        mask: region of interest, see `check_mask`; None for the whole image.
        weighting: see `mask_weights`.

    Returns:
        numbers by column, float64, () or (N,); NaN where a mask has no region of interest.

    Raises:
        UsageError, SizeMismatch: a tensor or the weighting cannot be used.
    """
    check_weighting(weighting)
    references, images = (
        Images(each, 255 if each.dtype == torch.uint8 else 1) for each in check_images(x, y)
    )
    region = None if mask is None else check_mask(mask, images.samples)
    maps = metric.compute_maps(metric.prepare(references), ImagePair(references, images))
    means = [_average(level, region, metric.mask_view, weighting) for level in maps]
    numbers = metric.combine(means)
    if region is not None:
        numbers = {
            name: torch.where(has_region(region), values, torch.nan)
            for name, values in numbers.items()
        }
    return {name: values.view(y.shape[:-3]) for name, values in numbers.items()}


def _average(maps: Tensor, mask: Tensor | None, view: MaskView, weighting: Weighting) -> Tensor:
    if mask is None:
        return spatial_mean(maps)
    return whole_and_masked_means(maps, view.make_weights(mask, maps, weighting))[1]
