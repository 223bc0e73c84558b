"""References, prepared once for any number of distorted images, one by one and in batches."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from roi_ray.metrics.ms_ssim import Moments
from roi_ray.metrics.roi import mask_weights, resize_mask, whole_and_masked_means
from roi_ray.settings import Weighting

_WeightsKey = tuple[torch.dtype, int, int, int, int, Weighting]


@dataclass(eq=False, repr=False)
class Prepared:
    """A reference, with everything that does not depend on a distorted image.

    Not frozen: the weights of the mask are added when a map of a new resolution is first averaged,
    because only the networks that score distorted images know their maps' resolutions. The numbers
    do not depend on it.

    Attributes:
        pixels: samples of the reference, from `upload`, (1, 3, H, W).
        bit_depth: bits per sample of the reference.
        mask: the region of interest `R`, float32, (H, W), in [0, 1].
        given_mask: the mask that the caller gave, uint8, (H, W), on the device; None if the
            saliency network made it. `mask` is it divided by 255, which float32 rounds.
        moments: the reference's local moments for MS-SSIM, one entry per scale.
        features: LPIPS features of the reference, one tensor (1, C, h, w) per layer.
        mask_mean: mean of the mask, float64, (), on the device.
    """

    pixels: Tensor
    bit_depth: int
    mask: Tensor
    given_mask: Tensor | None
    moments: list[Moments]
    features: list[Tensor]
    mask_mean: Tensor
    _weights: dict[_WeightsKey, Tensor] = field(default_factory=dict, init=False)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        height, width = self.pixels.shape[-2:]
        return height, width

    @property
    def roi_fraction(self) -> float:
        """Mean of the mask, in [0, 1]."""
        return float(self.mask_mean)

    def mask_as(self, dtype: torch.dtype) -> Tensor:
        """Return the mask in float32 or float64, (H, W)."""
        if dtype == torch.float64 and self.given_mask is not None:
            return self.given_mask.double() / 255
        return self.mask.to(dtype)

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
        pixels: samples, from `upload`, (N, 3, H, W); here and below, N is 1 or the number of
            images.
        moments: the references' local moments for MS-SSIM, one entry per scale.
        features: LPIPS features of the references, one tensor (N, C, h, w) per layer.
        mask_means: means of the masks, float64, (N,).
    """

    def __init__(self, prepared: Sequence[Prepared], weighting: Weighting) -> None:
        if all(reference is prepared[0] for reference in prepared):
            prepared = prepared[:1]
        self._prepared, self._weighting = prepared, weighting
        self.size, self.bit_depth = prepared[0].size, prepared[0].bit_depth
        self.pixels = _concatenate([reference.pixels for reference in prepared])
        self.moments = [
            Moments(
                _concatenate([moments.image for moments in scale]),
                _concatenate([moments.mean for moments in scale]),
                _concatenate([moments.variance for moments in scale]),
            )
            for scale in zip(*(reference.moments for reference in prepared), strict=True)
        ]
        layers = zip(*(reference.features for reference in prepared), strict=True)
        self.features = [_concatenate(layer) for layer in layers]
        self.mask_means = torch.stack([reference.mask_mean for reference in prepared])

    def average(self, maps: Tensor, margin: int = 0, min_side: int = 0) -> tuple[Tensor, Tensor]:
        """Average L maps over the whole image, and under the mask.

        Args:
            maps: float32 or float64, (N, ..., h, w).
            margin: rows and columns that the maps lost on each side.
            min_side: side to which `pad_to_min_side` padded the images of the maps.

        Returns:
            both means, (N, ...), float64.
        """
        height, width = maps.shape[-2:]
        key = (maps.dtype, height, width, margin, min_side, self._weighting)
        if new := [ref for ref in dict.fromkeys(self._prepared) if key not in ref._weights]:
            # The mask is treated as the image was: padded if tiny, brought to the map's resolution,
            # and cut by the margin that SSIM's valid window loses.
            masks = torch.stack([reference.mask_as(maps.dtype) for reference in new])
            masks = pad_to_min_side(masks[:, None], min_side)[:, 0]
            masks = resize_mask(masks, height, width, margin)
            weights = mask_weights(masks, self._weighting)
            for reference, its_weights in zip(new, weights[:, None], strict=True):
                reference._weights[key] = its_weights
        weights = _concatenate([reference._weights[key] for reference in self._prepared])
        return whole_and_masked_means(maps, weights)


def to_unit_range(pixels: Tensor, bit_depth: int) -> Tensor:
    """Convert samples of n bits to float32 in [0, 1], v / (2^n - 1); the layout is kept."""
    return pixels.float().div_((1 << bit_depth) - 1)


def pad_to_min_side(images: Tensor, side: int) -> Tensor:
    """Pad images whose sides are below `side`, by repeating the last row and column.

    Args:
        images: (N, C, H, W).
        side: smallest height and width of the result, in pixels.

    Returns:
        (N, C, max(H, side), max(W, side)); the images themselves where they are large enough.
    """
    height, width = images.shape[-2:]
    right, bottom = max(0, side - width), max(0, side - height)
    if right or bottom:
        images = F.pad(images, (0, right, 0, bottom), mode="replicate")
        return images.contiguous(memory_format=torch.channels_last)
    return images


def _concatenate(tensors: Sequence[Tensor]) -> Tensor:
    return tensors[0] if len(tensors) == 1 else torch.cat(tuple(tensors))
