"""What depends on a reference alone, and how distorted images meet it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from roi_ray.metrics.ms_ssim import Moments
from roi_ray.metrics.roi import mask_weights, resize_mask, whole_and_masked_means
from roi_ray.settings import Weighting


@dataclass(frozen=True, eq=False)
class Prepared:
    """A reference, with everything that does not depend on a distorted image.

    Attributes:
        pixels: uint8, (1, 3, H, W).
        mask: `R`, float32, (H, W), in [0, 1].
        moments: for MS-SSIM.
        features: for LPIPS.
    """

    pixels: Tensor
    mask: Tensor
    moments: list[Moments]
    features: list[Tensor]
    _fraction: Tensor
    _weights: dict[tuple[object, ...], Tensor] = field(default_factory=dict, repr=False)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        height, width = self.pixels.shape[-2:]
        return height, width

    @property
    def fraction(self) -> float:
        """Mean of the mask."""
        return float(self._fraction)


class ReferenceBatch:
    """The references of a batch, each prepared: one for each image, or one for all.

    Args:
        prepared: of one size, one for each image; several that differ have to be copied.
        weighting: of the mask.

    Attributes:
        size: height and width in pixels.
        pixels: as in `Prepared`; here as below, N is 1 or the number of images.
        moments: as in `Prepared`.
        features: as in `Prepared`.
        fractions: means of the masks, (N,).
    """

    def __init__(self, prepared: Sequence[Prepared], weighting: Weighting) -> None:
        if all(one is prepared[0] for one in prepared):
            prepared = prepared[:1]
        self._prepared, self._weighting = prepared, weighting
        self.size = prepared[0].size
        self.pixels = _joined([one.pixels for one in prepared])
        self.moments = [
            Moments(
                _joined([one.image for one in level]),
                _joined([one.mean for one in level]),
                _joined([one.variance for one in level]),
            )
            for level in zip(*(one.moments for one in prepared), strict=True)
        ]
        layers = zip(*(one.features for one in prepared), strict=True)
        self.features = [_joined(layer) for layer in layers]
        self.fractions = torch.stack([one._fraction for one in prepared])

    def means(self, maps: Tensor, margin: int = 0, min_side: int = 0) -> tuple[Tensor, Tensor]:
        """The means over the whole image, and the means under the mask.

        Args:
            maps: (N, ..., h, w).
            margin: that the maps have lost on each side.
            min_side: to which the images were bordered by `pad_to_min_side`.

        Returns:
            two of (N, ...), float64.
        """
        height, width = maps.shape[-2:]
        key = (height, width, margin, min_side, self._weighting)
        if new := [one for one in dict.fromkeys(self._prepared) if key not in one._weights]:
            # The mask follows the image: bordered like it where it is tiny, brought to the map's
            # resolution, and without the margin that SSIM's valid window loses.
            masks = pad_to_min_side(torch.stack([one.mask for one in new])[:, None], min_side)[:, 0]
            masks = resize_mask(masks, height, width, margin)
            weights = mask_weights(masks, self._weighting)
            for one, own in zip(new, weights[:, None], strict=True):
                one._weights[key] = own
        return whole_and_masked_means(maps, _joined([one._weights[key] for one in self._prepared]))


def pad_to_min_side(images: Tensor, side: int) -> Tensor:
    """Images whose sides are at least `side`: edge pixels repeated to the right and downwards."""
    height, width = images.shape[-2:]
    right, down = max(0, side - width), max(0, side - height)
    if right or down:
        images = F.pad(images, (0, right, 0, down), mode="replicate")
        return images.contiguous(memory_format=torch.channels_last)
    return images


def _joined(tensors: Sequence[Tensor]) -> Tensor:
    return tensors[0] if len(tensors) == 1 else torch.cat(tuple(tensors))
