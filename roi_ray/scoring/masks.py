"""The mask R of the region of interest, made by the saliency network."""

from torch import Tensor

from roi_ray.metrics.roi import box_blur
from roi_ray.metrics.strips import ImageStrips
from roi_ray.models.saliency import Saliency


def make_masks(saliency: Saliency, references: ImageStrips) -> Tensor:
    """Make the masks of references: R = S(sigmoid(N(x))).

    Args:
        saliency: the network N.
        references: the images.

    Returns:
        float32, (N, H, W), in [0, 1], high in the region of interest.
    """
    (images,) = references
    return box_blur(saliency(images.values)[:, 0].sigmoid())
