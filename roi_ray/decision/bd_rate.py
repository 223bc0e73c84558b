"""BD-rate: how many more bits one codec needs than another for the same quality.

Bjontegaard, "Calculation of average PSNR differences between RD-curves", VCEG-M33, 2001, with
piecewise cubic Hermite interpolation (PCHIP; Fritsch and Butland, SIAM J. Sci. Stat. Comput. 5,
1984) of log rate over quality, as in the common test conditions of JVET.
"""

from dataclasses import dataclass
from enum import StrEnum

MIN_POINTS = 4
MIN_OVERLAP = 0.75
MAX_PERCENT = 1000.0


class Flag(StrEnum):
    """Why a BD-rate is not valid; no number is given then."""

    FEW_POINTS = f"fewer than {MIN_POINTS} points"
    ZERO_RATE = "a bit rate of zero"
    NOT_MONOTONIC = "quality does not rise with the bit rate"
    NO_OVERLAP = "no quality that both codecs reach"
    LITTLE_OVERLAP = f"less than {MIN_OVERLAP:.0%} of the quality range is common"
    TOO_LARGE = f"above {MAX_PERCENT:g} %"


@dataclass(frozen=True)
class BdRate:
    """The BD-rate of one curve against an anchor's.

    Attributes:
        percent: mean difference of the bit rate at the same quality, in percent; -20 means a fifth
            fewer bits than the anchor (lower is better). None if it is not valid.
        flag: why it is not valid; None if it is.
        overlap: share of the quality range that the curves have in common, 0..1.
    """

    percent: float | None
    flag: Flag | None
    overlap: float
