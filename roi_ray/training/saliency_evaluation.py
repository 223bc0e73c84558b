"""How well N agrees with its teacher."""

from collections.abc import Sequence

import torch
from torch import Tensor

from roi_ray.models.saliency import Saliency
from roi_ray.training.agreement import Agreement, Mask, measure_agreement
from roi_ray.training.pairs import Pair


def evaluate_saliency(network: Saliency, pairs: Sequence[Pair]) -> Agreement:
    """Agreement with the teacher at the images' own size."""
    predicted = [predict_mask(network, pair.image) for pair in pairs]
    return measure_agreement(predicted, [(pair.map[0] / 255).numpy() for pair in pairs])


def predict_mask(network: Saliency, image: Tensor) -> Mask:
    """The mask of one image, uint8 (3, H, W), before it is smoothed: float32 (H, W) in [0, 1]."""
    with torch.inference_mode():
        mask: Mask = torch.sigmoid(network(image[None] / 255))[0, 0].numpy()
    return mask
