"""The mask R of the region of interest, made by the saliency network."""

from torch import Tensor

from roi_ray.metrics.roi import box_blur, box_buffer
from roi_ray.metrics.strips import ImageStrips
from roi_ray.models.resize import enlarge_rows
from roi_ray.models.saliency import Saliency


def make_masks(saliency: Saliency, references: ImageStrips) -> Tensor:
    """Make the masks of references: R = S(sigmoid(N(x))).

    Args:
        saliency: the network N.
        references: the images.

    Returns:
        float32, (N, H, W), in [0, 1], high in the region of interest.
    """
    if references.is_whole:
        (images,) = references
        return box_blur(saliency(images.values)[:, 0].sigmoid())
    logits = saliency.compute_coarse_logits(references)
    masks = logits.new_empty(references.count, *references.size)
    buffer, done = box_buffer(), 0
    for strip in references.strips:
        rows = enlarge_rows(logits, strip, references.size[1])[:, 0].sigmoid()
        if window := buffer.push(rows, strip.is_last):
            blurred = box_blur(window.rows, window.above, window.below)
            masks[:, done : done + blurred.shape[-2]] = blurred
            done += blurred.shape[-2]
    return masks
