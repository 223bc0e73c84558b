"""Why a BD-rate is not valid."""

from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

MIN_POINTS = 4
MIN_OVERLAP = 0.75
MAX_PERCENT = 1000.0

MIN_OCTAVES = 0.75
"""The least part of a band of bit rates, in octaves, that the anchor must have."""


class Flag(StrEnum):
    """Why a BD-rate is not valid; no number is given then."""

    FEW_POINTS = f"fewer than {MIN_POINTS} points"
    ZERO_RATE = "a bit rate of zero"
    NOT_MONOTONIC = "quality does not rise with the bit rate"
    NO_OVERLAP = "no quality that both codecs reach"
    LITTLE_OVERLAP = f"reaches less than {100 * MIN_OVERLAP:g} % of the anchor's quality range"
    TOO_LARGE = f"above {MAX_PERCENT:g} %"
    NOT_MEASURED = "no value of the metric, such as without a region of interest"
    OUTSIDE_BAND = "the anchor has too little of the band of bit rates"


FLAGS = tuple(Flag)

EXEMPT = (Flag.NOT_MEASURED, Flag.OUTSIDE_BAND)
"""Flags of images that need no BD-rate: a mean over the others does not mislead."""

VALID = 0
"""Code of a valid BD-rate in arrays; the code of a flag is its position in `FLAGS`, from 1."""

CODE = {flag: number for number, flag in enumerate(FLAGS, 1)}


def count_flags(codes: NDArray[np.int8]) -> dict[Flag, int]:
    """Count codes that are not `VALID` by flag, the most frequent first."""
    numbers = np.bincount(codes, minlength=len(FLAGS) + 1)[1:]
    counts = {flag: int(number) for flag, number in zip(FLAGS, numbers, strict=True) if number}
    return dict(sorted(counts.items(), key=lambda item: -item[1]))
