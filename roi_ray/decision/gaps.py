"""Where a codec or its anchor lacks points for a valid BD-rate."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roi_ray.decision.bd_rate import FLAGS, Curves, Flag

_CODES = [FLAGS.index(flag) + 1 for flag in (Flag.NO_OVERLAP, Flag.LITTLE_OVERLAP)]


@dataclass(frozen=True)
class Gaps:
    """Quality that one of two codecs does not reach, as shares of the range of both, 0..1.

    Means over the images whose curves have too little in common.

    Attributes:
        codec_low: share at the lower end that only the anchor reaches: the codec needs points of
            lower quality.
        codec_high: share at the upper end that only the anchor reaches.
        anchor_low: share at the lower end that only the codec reaches: the anchor needs points of
            lower quality.
        anchor_high: share at the upper end that only the codec reaches.
    """

    codec_low: float
    codec_high: float
    anchor_low: float
    anchor_high: float


def find_gaps(anchor: Curves, other: Curves, codes: NDArray[np.int8]) -> Gaps | None:
    """Find where points are missing; None if no image has too little in common.

    Args:
        anchor: curves of the anchor.
        other: curves of the codec.
        codes: codes of their BD-rates, see `BdRates`.
    """
    images = np.isin(codes, _CODES)
    if not images.any():
        return None
    low = (other.lowest - anchor.lowest)[images]
    high = (anchor.highest - other.highest)[images]
    total = (np.maximum(anchor.highest, other.highest) - np.minimum(anchor.lowest, other.lowest))[
        images
    ]
    return Gaps(*(float(np.mean(np.maximum(gap, 0) / total)) for gap in (low, high, -low, -high)))
