"""Where a codec lacks points for a valid BD-rate."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roi_ray.decision.flags import FLAGS, Flag
from roi_ray.decision.rate_curves import Curves

_CODES = [FLAGS.index(flag) + 1 for flag in (Flag.NO_OVERLAP, Flag.LITTLE_OVERLAP)]


@dataclass(frozen=True)
class Gaps:
    """Quality of the anchor that a codec does not reach, as shares of the anchor's range, 0..1.

    Means over the images in which the codec reaches too little of it.

    Attributes:
        low: share at the lower end: the codec needs points of lower quality.
        high: share at the upper end.
    """

    low: float
    high: float


def find_gaps(anchor: Curves, other: Curves, codes: NDArray[np.int8]) -> Gaps | None:
    """Find where points are missing; None if the codec reaches enough in all images.

    Args:
        anchor: curves of the anchor.
        other: curves of the codec.
        codes: codes of their BD-rates, see `BdRates`.
    """
    images = np.isin(codes, _CODES)
    if not images.any():
        return None
    low, high = other.lowest - anchor.lowest, anchor.highest - other.highest
    shares = np.clip(np.stack([low, high]) / (anchor.highest - anchor.lowest), 0, 1)
    return Gaps(*(float(share) for share in shares[:, images].mean(1)))
