import numpy as np
import pytest
from numpy.typing import NDArray

from roi_ray.errors import UnsupportedColour
from roi_ray.imaging.colour import icc
from roi_ray.imaging.colour.cicp import convert_to_srgb
from roi_ray.imaging.raster import Cicp
from tests.imaging.colour.test_icc import (
    DEPTHS,
    error_in_levels,
    photo_samples,
    quantize,
    random_samples,
    white,
)
from tests.imaging.profiles import (
    BRADFORD,
    bt709_tag,
    decode_bt709,
    decode_srgb,
    encode_srgb,
    gamma_tag,
    matrix_profile,
    srgb_curve_tag,
    xyz_of,
)

C = (0.310, 0.316)
D65 = (0.3127, 0.3290)
CHROMATICITIES = {
    1: (0.640, 0.330, 0.300, 0.600, 0.150, 0.060, *D65),
    4: (0.67, 0.33, 0.21, 0.71, 0.14, 0.08, *C),
    5: (0.64, 0.33, 0.29, 0.60, 0.15, 0.06, *D65),
    6: (0.630, 0.340, 0.310, 0.595, 0.155, 0.070, *D65),
    7: (0.630, 0.340, 0.310, 0.595, 0.155, 0.070, *D65),
    8: (0.681, 0.319, 0.243, 0.692, 0.145, 0.049, *C),
    9: (0.708, 0.292, 0.170, 0.797, 0.131, 0.046, *D65),
    11: (0.680, 0.320, 0.265, 0.690, 0.150, 0.060, 0.314, 0.351),
    12: (0.680, 0.320, 0.265, 0.690, 0.150, 0.060, *D65),
    22: (0.630, 0.340, 0.295, 0.605, 0.155, 0.077, *D65),
}
"""H.273, table 2."""


def decode_smpte240(values: NDArray) -> NDArray:
    alpha, beta = 1.111572195921731, 0.022821585529445
    power = ((values + alpha - 1) / alpha) ** (1 / 0.45)
    return np.where(values < 4 * beta, values / 4, power)


DECODERS = {
    1: decode_bt709,
    4: lambda values: values**2.2,
    5: lambda values: values**2.8,
    6: decode_bt709,
    7: decode_smpte240,
    8: lambda values: values,
    13: decode_srgb,
    14: decode_bt709,
    15: decode_bt709,
}
"""H.273, table 3."""


def expect(samples: NDArray, bit_depth: int, primaries: int, transfer: int) -> NDArray:
    """Convert samples to sRGB values, 0..1, in float64 through CIE XYZ."""
    light = DECODERS[transfer](samples / white(bit_depth))
    points = [xyz_of(*pair) for pair in np.reshape(CHROMATICITIES[primaries], (4, 2))]
    matrices = [_to_xyz(*np.reshape(CHROMATICITIES[code], (4, 2))) for code in (primaries, 1)]
    cones, srgb_cones = BRADFORD @ points[3], BRADFORD @ xyz_of(*D65)
    adapted = light @ matrices[0].T @ BRADFORD.T / cones * srgb_cones @ np.linalg.inv(BRADFORD).T
    return encode_srgb(adapted @ np.linalg.inv(matrices[1]).T)


def _to_xyz(red: NDArray, green: NDArray, blue: NDArray, white_point: NDArray) -> NDArray:
    columns = np.stack([xyz_of(*red), xyz_of(*green), xyz_of(*blue)], axis=1)
    return columns * np.linalg.solve(columns, xyz_of(*white_point))


@pytest.mark.parametrize("bit_depth", DEPTHS)
@pytest.mark.parametrize(
    ("primaries", "transfer"),
    [(code, 13) for code in CHROMATICITIES] + [(code, 1) for code in (1, 9, 12)]
    + [(1, code) for code in DECODERS] + [(9, 14), (9, 15), (12, 4), (12, 8)],
)  # fmt: skip
def test_code_points_equal_float64_arithmetic(photos, primaries, transfer, bit_depth) -> None:
    for samples in (random_samples(bit_depth), photo_samples(photos, bit_depth)):
        converted = convert_to_srgb(samples, bit_depth, Cicp(primaries, transfer))
        assert (converted.dtype, converted.shape) == (samples.dtype, samples.shape)
        expected = expect(samples, bit_depth, primaries, transfer)
        tolerance = 1.0 if bit_depth == 16 else 0.65
        assert error_in_levels(converted, expected, bit_depth) <= tolerance


@pytest.mark.parametrize("bit_depth", DEPTHS)
def test_white_black_and_greys_stay_so(bit_depth) -> None:
    greys = quantize(np.linspace(0, 1, 1 << bit_depth), bit_depth).reshape(16, -1, 1)
    for code in [Cicp(code, 4) for code in CHROMATICITIES] + [Cicp(9, code) for code in DECODERS]:
        converted = convert_to_srgb(np.repeat(greys, 3, axis=2), bit_depth, code)
        assert (converted[0, 0] == 0).all()
        assert (converted[-1, -1] == white(bit_depth)).all()
        # A grey image has no primaries.
        assert np.abs(convert_to_srgb(greys, bit_depth, code) - converted.astype(int)).max() <= 1


@pytest.mark.parametrize("code", [(1, 13), (2, 2), (1, 2), (2, 13)])
def test_code_points_of_srgb_leave_samples_unchanged(code) -> None:
    samples = random_samples(10)
    assert convert_to_srgb(samples, 10, Cicp(*code)) is samples
    grey = random_samples(10, channels=1)
    assert np.array_equal(convert_to_srgb(grey, 10, Cicp(*code)), np.repeat(grey, 3, axis=2))


@pytest.mark.parametrize("bit_depth", DEPTHS)
@pytest.mark.parametrize(
    ("code", "primaries", "curve"),
    [
        ((1, 13), "sRGB", srgb_curve_tag()),
        ((12, 13), "P3", srgb_curve_tag()),
        ((9, 1), "BT.2020", bt709_tag()),
        ((9, 14), "BT.2020", bt709_tag()),
        ((1, 1), "sRGB", bt709_tag()),
        ((1, 8), "sRGB", gamma_tag(1.0)),
        ((1, 4), "sRGB", gamma_tag(2.2)),
        ((12, 4), "P3", gamma_tag(2.2)),
    ],
    ids=lambda value: "/".join(map(str, value)) if isinstance(value, tuple) else "",
)
def test_profile_and_code_points_of_the_same_colours_agree(
    photos, code, primaries, curve, bit_depth
) -> None:
    profile = matrix_profile(primaries, curve)
    for samples in (random_samples(bit_depth), photo_samples(photos, bit_depth)):
        by_code = convert_to_srgb(samples, bit_depth, Cicp(*code)).astype(int)
        by_profile = icc.convert_to_srgb(samples, bit_depth, profile)
        # Profiles round the parameters of curves to 1/65536.
        assert np.abs(by_code - by_profile).max() <= (4 if bit_depth == 16 else 1)


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ((9, 16), "HDR: PQ .*; score SDR renditions of the images"),
        ((9, 18), "HDR: HLG .*; score SDR renditions of the images"),
        ((1, 9), r"the CICP code points 1/9 .*are not supported; convert the image to sRGB"),
        ((1, 10), "code points 1/10"),
        ((1, 11), "code points 1/11"),
        ((1, 12), "code points 1/12"),
        ((10, 13), "code points 10/13"),
        ((10, 17), "code points 10/17"),
        ((1, 0), "code points 1/0"),
        ((3, 13), "code points 3/13"),
        ((2, 255), "code points 2/255"),
        ((255, 2), "code points 255/2"),
    ],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_other_code_points_are_refused_by_name(code, text, channels) -> None:
    with pytest.raises(UnsupportedColour, match=text):
        convert_to_srgb(random_samples(8, channels), 8, Cicp(*code))


def test_cmyk_with_code_points_is_refused() -> None:
    with pytest.raises(UnsupportedColour, match="CMYK samples with CICP code points"):
        convert_to_srgb(random_samples(8, channels=4), 8, Cicp(1, 8))
