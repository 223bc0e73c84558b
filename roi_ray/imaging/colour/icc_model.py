"""Find out whether an ICC profile is a curve per channel and a matrix, by probing it."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from roi_ray.imaging.colour.cicp import (
    HLG,
    PQ,
    PRIMARIES,
    matrix_from_pcs,
    matrix_to_srgb,
    refuse_hdr,
)
from roi_ray.imaging.colour.lcms import measure_xyz
from roi_ray.imaging.colour.matrix import encode_srgb

_TOLERANCE = 5e-5
"""Largest difference, of sRGB values in 0..1, between a profile and the fitted model."""

_ROUNDING = 4e-4
"""Largest difference between a matrix to sRGB that is computed from a profile and the exact one."""

_HDR_TOLERANCE = 0.01


class MatrixModel(NamedTuple):
    """Arguments of `convert_matrix_rgb`.

    Attributes:
        curves: linear light of each value of each channel, (3, 2^bit_depth).
        matrix: from the channels' linear light to that of sRGB, (3, 3).
    """

    curves: NDArray[np.float32]
    matrix: NDArray[np.float64]


@lru_cache(maxsize=8)
def fit_matrix(profile: bytes, bit_depth: int) -> MatrixModel | None:
    """Fit a curve per channel and a matrix to an RGB profile.

    Returns:
        the model, or None if the profile is not of this kind.

    Raises:
        UnsupportedColour: the curves are those of PQ or HLG.
        CmsError: Little CMS cannot use the profile.
    """
    values = np.linspace(0, 1, 1 << bit_depth, dtype=np.float32)
    ramps = np.zeros((3, len(values), 3), np.float32)  # one channel rises, the others are 0
    ramps[range(3), :, range(3)] = values
    light = measure_xyz(ramps, profile) @ matrix_from_pcs().T
    columns = light[:, -1]
    lengths = (columns**2).sum(1)
    if not lengths.all():
        return None
    curves = np.einsum("cvi,ci->cv", light, columns) / lengths[:, None]
    matrix = columns.T
    probes = np.random.default_rng(0).integers(0, len(values), (200, 3))
    measured = measure_xyz(values[probes][None], profile)[0] @ matrix_from_pcs().T
    modelled = curves[range(3), probes] @ matrix.T
    difference = np.abs(encode_srgb(modelled) - encode_srgb(measured)).max()
    if not difference <= _TOLERANCE:  # also if it is not a number
        return None
    _refuse_hdr_curve(curves[1])
    return MatrixModel(curves.astype(np.float32), _undo_rounding(matrix))


def _undo_rounding(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Replace a profile's matrix, which is rounded to 1/65536, by the one that was meant.

    Thus Display P3 by ICC and by CICP give the same samples at 16 bits, and white stays white.
    """
    for exact in map(matrix_to_srgb, PRIMARIES):
        if np.abs(matrix - exact).max() < _ROUNDING:
            return exact
    white = matrix.sum(1, keepdims=True)
    return matrix / white if np.abs(white - 1).max() < _ROUNDING else matrix


def _refuse_hdr_curve(curve: NDArray[np.float64]) -> None:
    """Raise `UnsupportedColour` if a curve from 0 to 1 is that of PQ or HLG (BT.2100)."""
    values = np.linspace(0, 1, len(curve))
    power = values ** (1 / 78.84375)
    pq = (np.maximum(power - 0.8359375, 0) / (18.8515625 - 18.6875 * power)) ** (
        1 / 0.1593017578125
    )
    hlg = np.where(
        values <= 0.5, values**2 / 3, (np.exp((values - 0.55991073) / 0.17883277) + 0.28466892) / 12
    )
    for transfer, light in ((PQ, pq), (HLG, hlg)):
        if np.abs(curve - light).max() < _HDR_TOLERANCE:
            refuse_hdr(transfer)
