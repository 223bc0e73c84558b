"""References, prepared once for any number of distorted images, one by one and in batches."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from roi_ray.errors import UsageError
from roi_ray.metrics.images import Images
from roi_ray.metrics.metric import Metric
from roi_ray.metrics.roi import MaskView, whole_and_masked_means
from roi_ray.settings import Weighting

_WeightsKey = tuple[torch.dtype, int, int, MaskView, Weighting]


@dataclass(eq=False, repr=False)
class Prepared:
    """A reference, with everything that does not depend on a distorted image.

    Not frozen: the weights of the mask are added when a map of a new resolution is first averaged,
    because only the metrics know their maps' resolutions. The numbers do not depend on it.

    Attributes:
        samples: samples of the reference, from `upload`, (1, 3, H, W).
        bit_depth: bits per sample of the reference.
        mask: the region of interest `R`, float32, (H, W), in [0, 1].
        given_mask: the mask that the caller gave, uint8, (H, W), on the device; None if the
            saliency network made it. `mask` is it divided by 255, which float32 rounds.
        metrics: what each metric prepared, by its name: tensors (1, ...).
        mask_mean: mean of the mask, float64, (), on the device.
    """

    samples: Tensor
    bit_depth: int
    mask: Tensor
    given_mask: Tensor | None
    metrics: Mapping[str, Sequence[Tensor]]
    mask_mean: Tensor
    _weights: dict[_WeightsKey, Tensor] = field(default_factory=dict, init=False)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        height, width = self.samples.shape[-2:]
        return height, width

    @property
    def roi_fraction(self) -> float:
        """Mean of the mask, in [0, 1]."""
        return float(self.mask_mean)

    @property
    def exact_mask(self) -> Tensor:
        """The mask as float64, (H, W), in [0, 1]."""
        if self.given_mask is not None:
            return self.given_mask.double() / 255
        return self.mask.double()

    def __repr__(self) -> str:
        height, width = self.size
        return f"Prepared({width} x {height}, roi_fraction={self.roi_fraction:.4g})"


class ReferenceBatch:
    """The references of a batch of images: one that all images share, or one per image.

    Args:
        prepared: references of one size and bit depth, one per image; if they differ, their tensors
            are copied.
        weighting: weighting of the mask.

    Attributes:
        size: height and width in pixels.
        bit_depth: bits per sample of the references.
        images: the references; here and below, one, or one per image.
        mask_means: means of the masks, float64, (N,).
    """

    def __init__(self, prepared: Sequence[Prepared], weighting: Weighting) -> None:
        if all(reference is prepared[0] for reference in prepared):
            prepared = prepared[:1]
        self._prepared, self._weighting = prepared, weighting
        self.size, self.bit_depth = prepared[0].size, prepared[0].bit_depth
        samples = _concatenate([reference.samples for reference in prepared])
        self.images = Images(samples, (1 << self.bit_depth) - 1)
        self.mask_means = torch.stack([reference.mask_mean for reference in prepared])

    def get_prepared(self, metric: Metric) -> list[Tensor]:
        """Return what a metric prepared of the references, tensors (N, ...).

        Raises:
            UsageError: the references were prepared without this metric.
        """
        try:
            parts = [reference.metrics[metric.name] for reference in self._prepared]
        except KeyError as error:
            raise UsageError(
                f"the reference was prepared by a scorer without the metric {metric.name!r}; "
                "prepare it with this scorer"
            ) from error
        return [_concatenate(tensors) for tensors in zip(*parts, strict=True)]

    def average(self, maps: Tensor, view: MaskView) -> tuple[Tensor, Tensor]:
        """Average L maps over the whole image, and under the mask.

        Args:
            maps: float32 or float64, (N, ..., h, w).
            view: how the maps see the mask.

        Returns:
            both means, (N, ...), float64.
        """
        height, width = maps.shape[-2:]
        key = (maps.dtype, height, width, view, self._weighting)
        if new := [ref for ref in dict.fromkeys(self._prepared) if key not in ref._weights]:
            masks = torch.stack([reference.exact_mask for reference in new])
            weights = view.make_weights(masks, maps, self._weighting)
            for reference, its_weights in zip(new, weights[:, None], strict=True):
                reference._weights[key] = its_weights
        weights = _concatenate([reference._weights[key] for reference in self._prepared])
        return whole_and_masked_means(maps, weights)


def _concatenate(tensors: Sequence[Tensor]) -> Tensor:
    return tensors[0] if len(tensors) == 1 else torch.cat(tuple(tensors))
