"""How far a number may be from the exact one, by the precision of the run.

The agreements are those of `roi_ray/metrics/README.md`: 1e-5 with the reference implementations;
for networks in half precision, a share of the value. A mask from the saliency network carries the
network's error into every number of the region of interest.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from roi_ray.settings import Precision

EXACT = ("width", "height", "reference_bit_depth", "distorted_bit_depth", "ms_ssim_scales")
"""Columns of whole numbers, which must be equal."""

_NETWORKS = ("lpips", "d_loss")
_ROOTS = ("texture_gained", "texture_lost")
"""Columns that are roots of the means of their maps."""
_FLAT_LIMIT = 1e-3
_FLOAT32 = 2e-7


@dataclass(frozen=True)
class Agreement:
    """Errors that a precision of the networks may cause.

    Attributes:
        network: relative error of LPIPS and of the discriminator's loss.
        feature: error of LPIPS's unit-normalised features, which shows where images hardly differ.
        mask: relative error of the mask that the saliency network makes.
        mask_floor: error of that mask where it is near 0.
    """

    network: float
    feature: float
    mask: float
    mask_floor: float


AGREEMENTS: dict[str, Agreement] = {
    "fp32": Agreement(network=5e-6, feature=0, mask=2e-5, mask_floor=1e-6),
    "fp16": Agreement(network=5e-3, feature=2.5e-4, mask=2e-2, mask_floor=1e-3),
    "bf16": Agreement(network=5e-2, feature=2e-3, mask=2e-1, mask_floor=1e-2),
}


def allow(
    column: str,
    expected: Mapping[str, float | None],
    precision: Precision,
    mask_is_given: bool,
    normalised: bool,
    rounding: float = 0.0,
) -> float:
    """Compute the largest difference from the expected number that is rounding.

    Args:
        column: column of the scores.
        expected: the exact numbers of the pair.
        precision: precision of the run's networks.
        mask_is_given: whether the mask is an image, not made by the saliency network.
        normalised: whether the run's weighting is `normalised`.
        rounding: for MS-SSIM, the error that float32 makes on this pair.
    """
    value = expected.get(column)
    if column in EXACT or value is None:
        return 0.0
    agreement = AGREEMENTS[precision]
    if column == "roi_fraction":
        return 1e-6 + (0.0 if mask_is_given else _mask_error(agreement, value, 1.0))
    basic = column.removeprefix("roi_")
    if basic == "psnr":
        return 1e-5 + _decibels(column, expected, precision, mask_is_given, normalised)
    if basic.startswith("mse"):
        # Chroma is a small difference of float32 numbers, which keeps fewer digits.
        allowed = (1e-6 if basic == "mse" else 1e-5) * abs(value)
        if basic != "mse":
            colours = expected[column.removesuffix(basic) + "mse"] or 0.0
            allowed += _chroma_rounding(value, colours)
    else:
        allowed = 1e-5 + (agreement.network * abs(value) if basic in _NETWORKS else 0.0)
    if basic in _ROOTS:
        allowed = 1e-5 * max(1.0, value)  # texture gained may be as large as 50
    if basic == "lpips":
        allowed += _square_error(value, agreement.feature)
    if basic == "ms_ssim":
        # In flat areas, float32 leaves few digits of a variance, in every implementation.
        allowed += min(4 * rounding, _FLAT_LIMIT)
    if basic != column and not mask_is_given:
        power = 2 if basic in _ROOTS else 1
        mean, whole = (abs(number or 0.0) ** power for number in (value, expected[basic]))
        fraction = expected["roi_fraction"] or 1.0
        error = _mask_error(agreement, mean, whole / fraction if normalised else whole)
        allowed += (mean + error) ** (1 / power) - abs(value)
    return allowed


def _chroma_rounding(value: float, colours: float) -> float:
    """Bound the error of a squared error of chroma that float32 makes; grey images have no other.

    Args:
        value: exact mean squared error of Cb or Cr.
        colours: that of R, G and B, whose differences are rounded before they are combined.
    """
    return _square_error(value, _FLOAT32 * math.sqrt(abs(colours)))


def _square_error(value: float, error: float) -> float:
    """Bound the change of a mean square for an error of what is squared."""
    return 2 * math.sqrt(abs(value)) * error + error**2


def _mask_error(agreement: Agreement, value: float, whole: float) -> float:
    """Bound the change of mean(L R) for a change of R, where mean(L) is `whole`."""
    return agreement.mask * value + agreement.mask_floor * whole


def _decibels(
    column: str,
    expected: Mapping[str, float | None],
    precision: Precision,
    mask_is_given: bool,
    normalised: bool,
) -> float:
    """Convert what the mean squared error may be off to decibels."""
    mse_column = column.replace("psnr", "mse")
    mse = expected[mse_column]
    if not mse:
        return 0.0
    return 10 * math.log10(
        1 + allow(mse_column, expected, precision, mask_is_given, normalised) / mse
    )
