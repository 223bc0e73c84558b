"""Measure how many human choices MS-SSIM predicts under a mask, to see whether the mask helps."""

import math
from collections.abc import Callable, Mapping

import numpy as np
import pyarrow.compute as pc
import torch
from torch import Tensor

from roi_ray import schema
from roi_ray.errors import ManifestError, SizeMismatch
from roi_ray.io import storage
from roi_ray.metrics import ms_ssim
from roi_ray.metrics.roi import box_blur
from roi_ray.models.saliency import Saliency
from roi_ray.preference.comparisons.examples import Examples
from roi_ray.preference.comparisons.table import (
    Comparisons,
    count_votes,
    drop_gold_and_failed,
    number_groups,
)
from roi_ray.preference.evaluation.validation import predict_by_metric
from roi_ray.preference.statistics.measures import Interval, agreement, mean_over_references
from roi_ray.training.files import read_image_tensor

MaskFunction = Callable[[Tensor], Tensor]
"""Maps a reference, float (3, H, W) in [0, 1], to a mask, (H, W) in [0, 1]."""

_FEATURE = "roi_ms_ssim"


def make_mask_functions(network: Saliency) -> dict[str, MaskFunction]:
    """Return the network's mask and two that ignore the image, its centre and all ones, by name."""
    return {
        "this network": lambda image: box_blur(torch.sigmoid(network(image[None]))[0, 0]),
        "centre": lambda image: box_blur(centre_gaussian(*image.shape[-2:])),
        "ones": lambda image: torch.ones(image.shape[-2:]),
    }


def centre_gaussian(height: int, width: int) -> Tensor:
    """Return a Gaussian in the middle, (H, W) in [0, 1], whose std is a quarter of each side."""
    rows, columns = (
        torch.exp(-((torch.arange(side) + 0.5 - side / 2) ** 2) / (2 * (side / 4) ** 2))
        for side in (height, width)
    )
    return rows[:, None] * columns


def measure_choice_accuracy(
    comparisons: Comparisons, masks: Mapping[str, MaskFunction]
) -> dict[str, Interval]:
    """Measure the fraction of human answers that `roi_ms_ssim` predicts under each mask.

    The number is that of `roi_ray.metrics.ms_ssim` with the weighting `normalised`. Where a mask is
    empty, that of the whole image takes its place, as in a preference model.

    Args:
        comparisons: labelled comparisons, whose images are read. Control questions and rows without
            an answer are left out.
        masks: masks by name.

    Returns:
        accuracy by the mask's name, 0..1; higher is better.

    Raises:
        ManifestError: no row has an answer.
        SizeMismatch: an image has another size than its reference.
        ImageError, StorageError: an image cannot be read.
    """
    table = drop_gold_and_failed(comparisons.table)
    table = table.filter(pc.is_valid(table[schema.P_A]))
    if not len(table):
        raise ManifestError(f"comparisons {comparisons.name}: no row has an answer")
    names = (schema.REFERENCE, schema.A, schema.B)
    rows = list(zip(*(table[name].to_pylist() for name in names), strict=True))
    candidates_of: dict[str, set[str]] = {}
    for reference, a, b in rows:
        candidates_of.setdefault(reference, set()).update((a, b))
    values = {
        (reference, image): numbers
        for reference, candidates in candidates_of.items()
        for image, numbers in _score_under_masks(
            masks, comparisons.base, reference, sorted(candidates)
        ).items()
    }
    group, votes = number_groups(table), count_votes(table)
    p_a = table[schema.P_A].to_numpy().copy()
    accuracy = {}
    for index, name in enumerate(masks):
        a, b = (
            np.array([[values[row[0], row[side]][index]] for row in rows], float) for side in (1, 2)
        )
        examples = Examples((_FEATURE,), a, b, p_a, votes, group)
        correct = agreement(predict_by_metric(examples, _FEATURE), p_a)
        accuracy[name] = mean_over_references(correct, examples)
    return accuracy


def _score_under_masks(
    masks: Mapping[str, MaskFunction], base: str, reference: str, candidates: list[str]
) -> dict[str, list[float]]:
    """Compute `roi_ms_ssim` of a reference's candidates: one number per mask for each."""
    with torch.inference_mode():
        image = _read(storage.resolve(reference, base))
        regions = [mask(image) for mask in masks.values()]
        scores = {}
        for candidate in candidates:
            uri = storage.resolve(candidate, base)
            pixels = _read(uri)
            if pixels.shape != image.shape:
                raise SizeMismatch(f"{uri} is not of the size of its reference {reference}")
            scores[candidate] = [_measure(image, pixels, region) for region in regions]
    return scores


def _measure(image: Tensor, pixels: Tensor, region: Tensor) -> float:
    """Compute `roi_ms_ssim`; of the whole image where there is no region of interest."""
    number = float(ms_ssim(image, pixels, region, "normalised"))
    return float(ms_ssim(image, pixels)) if math.isnan(number) else number


def _read(uri: str) -> Tensor:
    return read_image_tensor(uri).float() / 255
