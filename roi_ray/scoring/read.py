"""Read arrays of pixels in strips, on a device."""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor

from roi_ray.imaging.pixels import Pixels, bit_depth_of
from roi_ray.metrics.strips import ImageStrips, plan_strips
from roi_ray.runtime.device import upload


def make_strips(images: Sequence[Pixels], device: torch.device) -> ImageStrips:
    """Make strips of images of one size and bit depth.

    Small images are uploaded at once. Large ones are uploaded strip by strip whenever they are
    read, and must not be changed until then.
    """
    white = (1 << bit_depth_of(images[0])) - 1
    height, width = images[0].shape[:2]
    strips = plan_strips((height, width), device)
    if len(strips) == 1:
        return ImageStrips.from_samples(upload(images, device), white)

    def load(start: int, end: int) -> Tensor:
        return upload([cast(Pixels, image[start:end]) for image in images], device)

    return ImageStrips(len(images), (height, width), white, load, strips)
