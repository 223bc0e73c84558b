"""Does a mask help to predict people? MS-SSIM under it, held against human answers."""

from collections.abc import Callable, Mapping

import numpy as np
import pyarrow.compute as pc
import torch
from torch import Tensor

from roi_ray import schema
from roi_ray.errors import ManifestError, SizeMismatch
from roi_ray.io import storage
from roi_ray.metrics.ms_ssim import MARGIN, combine_scales, filter_reference, similarity_maps
from roi_ray.metrics.roi import box_blur, mask_weights, resize_mask, whole_and_masked_means
from roi_ray.models.saliency import Saliency
from roi_ray.preference.comparisons import (
    Comparisons,
    count_votes,
    drop_gold_and_failed,
    number_groups,
)
from roi_ray.preference.examples import Examples
from roi_ray.preference.measures import Interval, agreement, mean_over_references
from roi_ray.preference.validation import predict_by_metric
from roi_ray.training.files import read_image_tensor

MaskFunction = Callable[[Tensor], Tensor]
"""Reference, float (3, H, W) in [0, 1] -> mask (H, W) in [0, 1]."""

_FEATURE = "roi_ms_ssim"


def make_mask_functions(network: Saliency) -> dict[str, MaskFunction]:
    """The network's mask, and two that know nothing of the image: its centre, and all of it."""
    return {
        "this network": lambda image: box_blur(torch.sigmoid(network(image[None]))[0, 0]),
        "centre": lambda image: box_blur(centre_gaussian(*image.shape[-2:])),
        "ones": lambda image: torch.ones(image.shape[-2:]),
    }


def centre_gaussian(height: int, width: int) -> Tensor:
    """A Gaussian in the middle, whose deviation is a quarter of each side, (H, W)."""
    rows, columns = (
        torch.exp(-((torch.arange(side) + 0.5 - side / 2) ** 2) / (2 * (side / 4) ** 2))
        for side in (height, width)
    )
    return rows[:, None] * columns


def measure_choice_accuracy(
    comparisons: Comparisons, masks: Mapping[str, MaskFunction]
) -> dict[str, Interval]:
    """Share of human answers that `roi_ms_ssim` predicts under each mask.

    Args:
        comparisons: labelled, their images are read; control questions and rows without an answer
            are left out.
        masks: by name.

    Returns:
        by the masks' names; higher is better.

    Raises:
        ManifestError: no row has an answer.
        ImageError, StorageError: an image cannot be read, or is not of its reference's size.
    """
    table = drop_gold_and_failed(comparisons.table)
    table = table.filter(pc.is_valid(table[schema.P_A]))
    if not len(table):
        raise ManifestError(f"comparisons {comparisons.name}: no row has an answer")
    names = (schema.REFERENCE, schema.A, schema.B)
    rows = list(zip(*(table[name].to_pylist() for name in names), strict=True))
    wanted: dict[str, set[str]] = {}
    for reference, a, b in rows:
        wanted.setdefault(reference, set()).update((a, b))
    values = {
        (reference, image): numbers
        for reference, candidates in wanted.items()
        for image, numbers in _under(masks, comparisons.base, reference, sorted(candidates)).items()
    }
    group = number_groups(table)
    p_a = table[schema.P_A].to_numpy().copy()
    result = {}
    for at, name in enumerate(masks):
        a, b = (
            np.array([[values[row[0], row[side]][at]] for row in rows], float) for side in (1, 2)
        )
        examples = Examples((_FEATURE,), a, b, p_a, count_votes(table), group)
        right = agreement(predict_by_metric(examples, _FEATURE), p_a)
        result[name] = mean_over_references(right, examples)
    return result


def _under(
    masks: Mapping[str, MaskFunction], base: str, reference: str, candidates: list[str]
) -> dict[str, list[float]]:
    """`roi_ms_ssim` of one reference's images under each mask."""
    with torch.inference_mode():
        image = _read(storage.resolve(reference, base))
        moments = filter_reference(image[None])
        regions = [mask(image) for mask in masks.values()]
        found = {}
        for candidate in candidates:
            uri = storage.resolve(candidate, base)
            pixels = _read(uri)
            if pixels.shape != image.shape:
                raise SizeMismatch(f"{uri} is not of the size of its reference {reference}")
            maps = similarity_maps(moments, pixels[None])
            found[candidate] = [
                float(combine_scales([_mean(level, region) for level in maps])[0])
                for region in regions
            ]
    return found


def _mean(level: Tensor, region: Tensor) -> Tensor:
    height, width = level.shape[-2:]
    mask = resize_mask(region[None], height, width, MARGIN)
    return whole_and_masked_means(level, mask_weights(mask, "normalised"))[1]


def _read(uri: str) -> Tensor:
    return read_image_tensor(uri).float() / 255
