"""How far a saliency network agrees with its teacher, in the measures of the saliency literature.

Achanta et al., CVPR 2009 (F measure with beta^2 = 0.3); Perazzi et al., CVPR 2012 (MAE).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from roi_ray.metrics.roi import smooth

Mask = NDArray[np.float32]

_BETA2 = 0.3


@dataclass(frozen=True)
class Agreement:
    """Agreement of predicted masks with the teacher's.

    Attributes:
        images: how many were compared.
        mae: mean absolute error, 0..1; lower is better.
        max_f: largest F measure over 255 thresholds of the prediction, the teacher's mask cut at
            0.5; 0..1, higher is better. Images whose teacher marks nothing are left out; precision
            and recall are averaged over the others first.
        roi_correlation: Pearson correlation of the masks after the 50 x 50 box filter, which is all
            that the metrics see of them; over all pixels of all images; higher is better.
        roi_correlation_per_image: the same within each image, then averaged.
    """

    images: int
    mae: float
    max_f: float
    roi_correlation: float
    roi_correlation_per_image: float


def agreement(predicted: Sequence[Mask], teacher: Sequence[Mask]) -> Agreement:
    """Compare masks, float32 (H, W) in [0, 1], pair by pair."""
    blurred = [(box(a).ravel(), box(b).ravel()) for a, b in zip(predicted, teacher, strict=True)]
    # A constant mask has no correlation with anything.
    varied = [(a, b) for a, b in blurred if a.std() > 0 and b.std() > 0]
    return Agreement(
        images=len(blurred),
        mae=float(np.mean([np.abs(a - b).mean() for a, b in zip(predicted, teacher, strict=True)])),
        max_f=max_f(predicted, teacher),
        roi_correlation=_pearson(
            np.concatenate([a for a, _ in blurred]), np.concatenate([b for _, b in blurred])
        ),
        roi_correlation_per_image=float(np.mean([_pearson(a, b) for a, b in varied])),
    )


def max_f(predicted: Sequence[Mask], teacher: Sequence[Mask]) -> float:
    """The largest F measure over thresholds; see `Agreement`. NaN if the teacher marks nothing."""
    curves = []
    for mask, target in zip(predicted, teacher, strict=True):
        wanted = target >= 0.5
        if not wanted.any():
            continue
        # Pixels at or above each of the thresholds 1/255 .. 1, counted from the top down.
        level = np.clip((mask * 255).astype(np.int64), 0, 255)
        marked = np.bincount(level.ravel(), minlength=256)[::-1].cumsum()[:-1]
        hits = np.bincount(level[wanted], minlength=256)[::-1].cumsum()[:-1]
        curves.append((hits / np.maximum(marked, 1), hits / wanted.sum()))
    if not curves:
        return float("nan")
    precision, recall = np.mean(curves, axis=0)
    f = (1 + _BETA2) * precision * recall / np.maximum(_BETA2 * precision + recall, 1e-12)
    return float(f.max())


def box(mask: Mask) -> Mask:
    """S of the method: mean over rows i-25 .. i+24 and columns alike, 0 outside the image."""
    smoothed: Mask = smooth(torch.from_numpy(mask)).numpy()
    return smoothed


def _pearson(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    return float(np.corrcoef(a, b)[0, 1])
