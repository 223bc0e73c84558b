"""Random augmentation of the saliency training: crops, reflections and colour jitter."""

import random

import torch.nn.functional as F
from torch import Tensor

from roi_ray.models.saliency import LITE0_SIDE
from roi_ray.training.pairs import Pair


def draw_crop(pair: Pair, draw: random.Random) -> tuple[Tensor, Tensor]:
    """Draw a crop of an image and its map, reflect it half of the time, and resize it.

    Args:
        pair: image and map; the crop keeps at least `pair.min_crop` of each side.
        draw: source of randomness.

    Returns:
        image, float32 (3, 352, 352) in [0, 1], and map, float32 (1, 352, 352) in [0, 1].
    """
    height, width = pair.image.shape[1:]
    # In a smaller crop the teacher would see another object as the salient one.
    rows, columns = (
        max(1, round(side * draw.uniform(pair.min_crop, 1))) for side in (height, width)
    )
    top, left = draw.randint(0, height - rows), draw.randint(0, width - columns)
    crop = (slice(None), slice(top, top + rows), slice(left, left + columns))
    image, mask = pair.image[crop] / 255, pair.map[crop] / 255
    if draw.random() < 0.5:
        image, mask = image.flip(-1), mask.flip(-1)
    square = (LITE0_SIDE, LITE0_SIDE)
    image = F.interpolate(image[None], size=square, mode="bilinear", antialias=True)[0]
    mask = F.interpolate(mask[None], size=square, mode="area")[0]
    return image, mask


def draw_jitter(draw: random.Random) -> tuple[float, float, float]:
    """Draw factors of brightness, contrast and saturation."""
    return draw.uniform(0.7, 1.3), draw.uniform(0.7, 1.3), draw.uniform(0.5, 1.5)


def jitter_colours(images: Tensor, factors: Tensor) -> Tensor:
    """Change brightness, contrast and saturation of each image.

    Args:
        images: float32, (N, 3, H, W), in [0, 1].
        factors: factors of brightness, contrast and saturation, (N, 3).

    Returns:
        (N, 3, H, W), clamped to [0, 1].
    """
    brightness, contrast, saturation = factors[:, :, None, None, None].unbind(1)
    images = images * brightness
    mean = images.mean((1, 2, 3), keepdim=True)
    images = mean + (images - mean) * contrast
    grey = images.mean(1, keepdim=True)
    return (grey + (images - grey) * saturation).clamp(0, 1)
