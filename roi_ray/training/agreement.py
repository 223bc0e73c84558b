"""Agreement of a saliency network with its teacher, in the usual measures of salient objects.

F measure with beta^2 = 0.3 (Achanta et al., CVPR 2009) and MAE (Perazzi et al., CVPR 2012).
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
        images: number of images compared.
        empty: number of images in which the teacher marks nothing; `max_f` leaves them out.
        mae: mean absolute error, 0..1; lower is better.
        max_f: F measure, averaged over images, at the threshold of the prediction where it is
            largest; the teacher's mask is thresholded at 0.5. 0..1, higher is better; NaN if all
            images are empty.
        roi_correlation: Pearson correlation over all pixels of all images after the 50 x 50 box
            filter, which is how the metrics see masks; higher is better.
        roi_correlation_per_image: mean over images of the correlation within each image; images
            with a constant mask are left out.
    """

    images: int
    empty: int
    mae: float
    max_f: float
    roi_correlation: float
    roi_correlation_per_image: float


def measure_agreement(predicted: Sequence[Mask], teacher: Sequence[Mask]) -> Agreement:
    """Compare predicted masks with the teacher's, both float32 (H, W) in [0, 1], image by image."""
    pairs = list(zip(predicted, teacher, strict=True))
    blurred = [(blur_mask(a).ravel(), blur_mask(b).ravel()) for a, b in pairs]
    # The correlation with a constant mask is undefined.
    varied = [(a, b) for a, b in blurred if a.std() > 0 and b.std() > 0]
    marked = [(mask, target) for mask, target in pairs if (target >= 0.5).any()]
    return Agreement(
        images=len(pairs),
        empty=len(pairs) - len(marked),
        mae=float(np.mean([np.abs(a - b).mean() for a, b in pairs])),
        max_f=_max_f(marked),
        roi_correlation=_pearson(
            np.concatenate([a for a, _ in blurred]), np.concatenate([b for _, b in blurred])
        ),
        roi_correlation_per_image=float(np.mean([_pearson(a, b) for a, b in varied])),
    )


def blur_mask(mask: Mask) -> Mask:
    """Apply `metrics.roi.box_blur`, the 50 x 50 box filter, to a NumPy array (H, W)."""
    blurred: Mask = box_blur(torch.from_numpy(mask)).numpy()
    return blurred


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
