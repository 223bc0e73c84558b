"""Convert an image's colours to sRGB by its CICP code points (ITU-T H.273)."""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from roi_ray.errors import UnsupportedColour
from roi_ray.imaging.colour.matrix import (
    convert_grey,
    convert_matrix_rgb,
    encode_srgb,
    quantize,
)
from roi_ray.imaging.raster import Cicp
from roi_ray.imaging.samples import Samples

_D65, _C, _DCI = (0.3127, 0.3290), (0.310, 0.316), (0.314, 0.351)
PRIMARIES = {
    1: ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060), _D65),  # BT.709, sRGB
    4: ((0.67, 0.33), (0.21, 0.71), (0.14, 0.08), _C),  # BT.470 System M
    5: ((0.64, 0.33), (0.29, 0.60), (0.15, 0.06), _D65),  # BT.601, 625 lines
    6: ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), _D65),  # BT.601, 525 lines
    7: ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), _D65),  # SMPTE ST 240
    8: ((0.681, 0.319), (0.243, 0.692), (0.145, 0.049), _C),  # generic film
    9: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), _D65),  # BT.2020
    11: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), _DCI),  # DCI P3, SMPTE RP 431-2
    12: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), _D65),  # Display P3
    22: ((0.630, 0.340), (0.295, 0.605), (0.155, 0.077), _D65),  # EBU Tech. 3213-E
}
"""Chromaticities x, y of red, green, blue and white, by ColourPrimaries (H.273, table 2)."""

_BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)
"""From CIE XYZ to the cone responses in which white points are adapted (ICC.1:2022, annex E)."""

_D50 = np.array([0.9642, 1.0, 0.8249])
"""White of the ICC profile connection space, CIE XYZ (ICC.1:2022, 7.2.16)."""

_UNSPECIFIED, _SRGB = 2, 13
PQ, HLG = 16, 18
_HDR = {PQ: "PQ (SMPTE ST 2084)", HLG: "HLG (ARIB STD-B67)"}


def convert_to_srgb(
    samples: Samples, bit_depth: int, cicp: Cicp, out: Samples | None = None
) -> Samples:
    """Convert samples to sRGB by their code points.

    Media white becomes white (Bradford adaptation); colours outside sRGB's gamut are clipped.

    Args:
        samples: grey or RGB: (height, width, 1 or 3), 0..2^bit_depth - 1.
        bit_depth: bits per sample, 8 to 16.
        cicp: code points. An unspecified one (2) is taken for sRGB's.
        out: array that may be used for the result, of RGB samples: `samples` themselves.

    Returns:
        sRGB, (height, width, 3), of the samples' type and depth; the samples themselves if they
        are sRGB already.

    Raises:
        UnsupportedColour: HDR, or code points that have no well-defined equivalent in sRGB.
    """
    primaries = 1 if cicp.primaries == _UNSPECIFIED else cicp.primaries
    transfer = _SRGB if cicp.transfer == _UNSPECIFIED else cicp.transfer
    refuse_hdr(transfer)
    if primaries not in PRIMARIES or transfer not in _DECODING:
        raise UnsupportedColour(
            f"the CICP code points {cicp.primaries}/{cicp.transfer} (primaries/transfer) are not "
            "supported; convert the image to sRGB"
        )
    if samples.shape[2] == 4:
        raise UnsupportedColour("CMYK samples with CICP code points; convert the image to sRGB")
    if samples.shape[2] == 1:
        if transfer == _SRGB:
            return np.repeat(samples, 3, axis=2)
        light = _decoding_curve(transfer, bit_depth)
        return convert_grey(samples, quantize(encode_srgb(light), bit_depth))
    if (primaries, transfer) == (1, _SRGB):
        return samples
    curve = _decoding_curve(transfer, bit_depth).astype(np.float32)
    curves, matrix = np.stack([curve] * 3), matrix_to_srgb(primaries)
    return convert_matrix_rgb(samples, bit_depth, curves, matrix, out)


def read_rgb_code_points(
    name: str, primaries: int, transfer: int, matrix: int, is_full_range: bool
) -> Cicp:
    """Return the code points of a file whose samples are RGB.

    Raises:
        UnsupportedColour: the file says that they are YCbCr or of narrow range.
    """
    if matrix or not is_full_range:
        raise UnsupportedColour(
            f"{name} with CICP matrix {matrix} and {'full' if is_full_range else 'narrow'} range "
            "is not supported, only RGB (matrix 0) of full range; convert it to sRGB, or correct "
            "the code points if they are wrong"
        )
    return Cicp(primaries, transfer)


def refuse_hdr(transfer: int) -> None:
    """Raise `UnsupportedColour` if the transfer characteristics are those of HDR."""
    if transfer in _HDR:
        raise UnsupportedColour(
            f"HDR: {_HDR[transfer]} has no equivalent in sRGB; score SDR renditions of the images"
        )


def _decoding_curve(transfer: int, bit_depth: int) -> NDArray[np.float64]:
    """Tabulate linear light, 0..1, by sample: (2^bit_depth,)."""
    values = np.arange(1 << bit_depth) / ((1 << bit_depth) - 1)
    return np.clip(_DECODING[transfer](values), 0, 1)


Curve = Callable[[NDArray[np.float64]], NDArray[np.float64]]


def _gamma(exponent: float) -> Curve:
    return lambda values: values**exponent


def _linear_then_power(offset: float, exponent: float, slope: float, knee: float) -> Curve:
    """Invert `slope * light` below the knee, `(1 + offset) light^exponent - offset` above."""

    def decode(values: NDArray[np.float64]) -> NDArray[np.float64]:
        power = ((values + offset) / (1 + offset)) ** (1 / exponent)
        return np.where(values < slope * knee, values / slope, power)

    return decode


# H.273 gives the curve of a camera. It is inverted, as in Firefox, in libjxl and in ICC profiles of
# BT.709. Chromium takes gamma 2.4 (the screen of BT.1886) in PNG, and sRGB's curve in AVIF.
# At the knee both parts of the curve have the same value and slope (BT.2020, table 4).
_BT709 = _linear_then_power(0.09929682680944, 0.45, 4.5, 0.018053968510807)
_DECODING: dict[int, Curve] = {
    1: _BT709,
    4: _gamma(2.2),  # BT.470 System M
    5: _gamma(2.8),  # BT.470 System B, G
    6: _BT709,  # BT.601
    7: _linear_then_power(0.111572195921731, 0.45, 4.0, 0.022821585529445),  # SMPTE ST 240
    8: _gamma(1.0),  # linear
    _SRGB: _linear_then_power(0.055, 1 / 2.4, 12.92, 0.0031308),
    14: _BT709,  # BT.2020, 10 bits
    15: _BT709,  # BT.2020, 12 bits
}
"""Functions from samples to linear light, both 0..1, by TransferCharacteristics (table 3)."""


@lru_cache
def matrix_to_srgb(primaries: int) -> NDArray[np.float64]:
    """Compute the matrix from linear light of some primaries to that of sRGB, white to white."""
    white = _xyz(PRIMARIES[primaries][3])
    return _matrix_from_xyz(white) @ _matrix_to_xyz(primaries)


@lru_cache
def matrix_from_pcs() -> NDArray[np.float64]:
    """Compute the matrix from the ICC profile connection space (CIE XYZ) to linear sRGB light."""
    return _matrix_from_xyz(_D50)


def _matrix_from_xyz(white: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute the matrix to linear sRGB light from CIE XYZ that has some white."""
    gains = (_BRADFORD @ _xyz(_D65)) / (_BRADFORD @ white)
    adapt = np.linalg.inv(_BRADFORD) @ np.diag(gains) @ _BRADFORD
    matrix: NDArray[np.float64] = np.linalg.inv(_matrix_to_xyz(1)) @ adapt
    return matrix


def _matrix_to_xyz(primaries: int) -> NDArray[np.float64]:
    *colours, white = (_xyz(chromaticity) for chromaticity in PRIMARIES[primaries])
    columns: NDArray[np.float64] = np.stack(colours, axis=1)
    return columns * np.linalg.solve(columns, white)


def _xyz(chromaticity: tuple[float, float]) -> NDArray[np.float64]:
    """Convert a chromaticity to CIE XYZ with Y = 1."""
    x, y = chromaticity
    return np.array([x / y, 1, (1 - x - y) / y])
