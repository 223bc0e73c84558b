"""How far a saliency network agrees with its teacher, in the measures of the saliency literature.

Achanta et al., CVPR 2009 (F measure with beta^2 = 0.3); Perazzi et al., CVPR 2012 (MAE).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from roi_ray.metrics.roi import box_blur

Mask = NDArray[np.float32]

_BETA2 = 0.3


@dataclass(frozen=True)
class Agreement:
    """Agreement of predicted masks with the teacher's.

    Attributes:
        images: how many were compared.
        empty: how many of them the F measure leaves out, as the teacher marks nothing there.
        mae: mean absolute error, 0..1; lower is better.
        max_f: largest F measure over the thresholds of the prediction, of means over images; the
            teacher's mask cut at 0.5; 0..1, higher is better. NaN if all images are empty.
        roi_correlation: Pearson correlation of the masks after the 50 x 50 box filter, which is all
            that the metrics see of them; over all pixels of all images; higher is better.
        roi_correlation_per_image: the same within each image, then averaged.
    """

    images: int
    empty: int
    mae: float
    max_f: float
    roi_correlation: float
    roi_correlation_per_image: float


def measure_agreement(predicted: Sequence[Mask], teacher: Sequence[Mask]) -> Agreement:
    """Compare masks, float32 (H, W) in [0, 1], pair by pair."""
    blurred = [
        (smooth_mask(a).ravel(), smooth_mask(b).ravel())
        for a, b in zip(predicted, teacher, strict=True)
    ]
    # A constant mask has no correlation with anything.
    varied = [(a, b) for a, b in blurred if a.std() > 0 and b.std() > 0]
    marked = [pair for pair in zip(predicted, teacher, strict=True) if (pair[1] >= 0.5).any()]
    return Agreement(
        images=len(blurred),
        empty=len(blurred) - len(marked),
        mae=float(np.mean([np.abs(a - b).mean() for a, b in zip(predicted, teacher, strict=True)])),
        max_f=_max_f(marked),
        roi_correlation=_pearson(
            np.concatenate([a for a, _ in blurred]), np.concatenate([b for _, b in blurred])
        ),
        roi_correlation_per_image=float(np.mean([_pearson(a, b) for a, b in varied])),
    )


def smooth_mask(mask: Mask) -> Mask:
    """S of the method: mean over rows i-25 .. i+24 and columns alike, 0 outside the image."""
    smoothed: Mask = box_blur(torch.from_numpy(mask)).numpy()
    return smoothed


def _max_f(pairs: Sequence[tuple[Mask, Mask]]) -> float:
    from py_sod_metrics import FmeasureHandler, FmeasureV2

    if not pairs:
        return float("nan")
    handler = FmeasureHandler(with_dynamic=True, with_adaptive=False, beta=_BETA2)
    measure = FmeasureV2({"f": handler})
    for mask, target in pairs:
        measure.step(mask, target >= 0.5, normalize=False)
    return float(measure.get_results()["f"]["dynamic"].max())


def _pearson(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    return float(np.corrcoef(a, b)[0, 1])
