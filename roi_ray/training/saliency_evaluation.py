"""Masks of a trained saliency network, and how well they agree with its teacher's."""

from collections.abc import Sequence

import torch
from torch import Tensor

from roi_ray.models.saliency import Saliency
from roi_ray.training.agreement import Agreement, Mask, measure_agreement
from roi_ray.training.pairs import Pair


def evaluate_saliency(network: Saliency, pairs: Sequence[Pair]) -> Agreement:
    """Measure the network's agreement with the teacher's maps at the images' own sizes."""
    predicted = [predict_mask(network, pair.image) for pair in pairs]
    return measure_agreement(predicted, [(pair.map[0] / 255).numpy() for pair in pairs])


def predict_mask(network: Saliency, image: Tensor) -> Mask:
    """Predict the mask of an image, before the box filter.

    Args:
        network: the saliency network.
        image: uint8, (3, H, W).

    Returns:
        float32, (H, W), in [0, 1]; high where people look.
    """
    with torch.inference_mode():
        mask: Mask = torch.sigmoid(network(image[None] / 255))[0, 0].numpy()
    return mask
