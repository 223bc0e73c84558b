import io
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from roi_ray.errors import UnsupportedColour
from roi_ray.imaging.colour.icc import convert_to_srgb
from roi_ray.imaging.colour.lcms import transform
from tests.imaging import profiles
from tests.imaging.profiles import (
    bt709_tag,
    build_profile,
    cicp_tag,
    decode_bt709,
    decode_srgb,
    encode_srgb,
    gamma_tag,
    grey_profile,
    matrix_profile,
    table_tag,
    to_xyz_d50,
    xyz_to_srgb,
)

DEPTHS = (8, 10, 12, 16)
CURVES: dict[str, tuple[bytes, Callable[[NDArray], NDArray]]] = {
    "gamma 2.2": (gamma_tag(2.2), lambda values: values**2.2),
    "linear": (gamma_tag(1.0), lambda values: values),
    "BT.709": (bt709_tag(), decode_bt709),
    "sRGB's curve": (table_tag(decode_srgb), decode_srgb),
}


def quantize(values: NDArray, bit_depth: int) -> NDArray:
    levels = np.rint(np.clip(values, 0, 1) * ((1 << bit_depth) - 1))
    return levels.astype(np.uint8 if bit_depth == 8 else np.uint16)


def random_samples(bit_depth: int, channels: int = 3) -> NDArray:
    """Return random samples, with white and black first."""
    samples = np.random.default_rng(1).random((101, 99, channels))
    samples[0, :2] = [[1], [0]]
    return quantize(samples, bit_depth)


def photo_samples(photos, bit_depth: int) -> NDArray:
    """Return a part of a photograph with values between those of 8 bits."""
    pixels = photos["astronaut"][60:260, 100:400].astype(float)
    blurred = (pixels[1:, 1:] + pixels[1:, :-1] + pixels[:-1, 1:] + pixels[:-1, :-1]) / 4
    return quantize(blurred / 255, bit_depth)


def error_in_levels(converted: NDArray, expected: NDArray, bit_depth: int) -> float:
    """Return the largest difference from values in 0..1, in levels of the depth."""
    return float(np.abs(converted - expected * ((1 << bit_depth) - 1)).max())


@pytest.mark.parametrize("primaries", ["sRGB", "P3", "BT.2020", "Adobe RGB"])
@pytest.mark.parametrize("curve", list(CURVES))
@pytest.mark.parametrize("bit_depth", DEPTHS)
def test_matrix_profile_equals_float64_arithmetic(photos, primaries, curve, bit_depth) -> None:
    tag, decode = CURVES[curve]
    profile = matrix_profile(primaries, tag)
    for samples in (random_samples(bit_depth), photo_samples(photos, bit_depth)):
        converted = convert_to_srgb(samples, bit_depth, profile)
        assert (converted.dtype, converted.shape) == (samples.dtype, samples.shape)
        light = decode(samples / ((1 << bit_depth) - 1))
        expected = xyz_to_srgb(light @ to_xyz_d50(primaries).T)
        if (primaries, curve) == ("sRGB", "sRGB's curve"):
            assert converted is samples
        # Rounding costs 0.5. The matrix of Adobe RGB, and curves in tables, are rounded to 16 bits
        # of linear light: they cost up to 25 of 65535 levels in dark saturated colours.
        coarse = primaries == "Adobe RGB" or curve == "sRGB's curve"
        tolerance = {8: 0.75, 10: 0.8, 12: 1.7 if coarse else 0.75, 16: 25 if coarse else 3}
        assert error_in_levels(converted, expected, bit_depth) <= tolerance[bit_depth]
    ends = convert_to_srgb(random_samples(bit_depth), bit_depth, profile)[0, :2]
    assert (ends == [[white(bit_depth)], [0]]).all()


def white(bit_depth: int) -> int:
    return (1 << bit_depth) - 1


@pytest.mark.parametrize("primaries", ["P3", "BT.2020", "Adobe RGB"])
@pytest.mark.parametrize("curve", list(CURVES))
def test_matrix_profile_at_8_bits_gives_the_digits_of_pillow(photos, primaries, curve) -> None:
    profile = matrix_profile(primaries, CURVES[curve][0])
    expected = ImageCms.profileToProfile(
        Image.fromarray(photos["coffee"]),
        ImageCms.ImageCmsProfile(io.BytesIO(profile)),
        ImageCms.createProfile("sRGB"),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    assert np.array_equal(convert_to_srgb(photos["coffee"], 8, profile), np.asarray(expected))


@pytest.mark.parametrize("primaries", ["P3", "Adobe RGB"])
def test_matrix_profile_at_16_bits_agrees_with_little_cms(photos, primaries) -> None:
    samples = photo_samples(photos, 16)
    profile = matrix_profile(primaries, gamma_tag(2.2))
    expected = transform(samples, 16, profile, exact=True).astype(int)
    difference = np.abs(convert_to_srgb(samples, 16, profile) - expected)
    assert difference.mean() < 1
    assert difference.max() <= 40  # saturated dark colours, by the rounding of P3's matrix


def test_gamma_22_with_srgb_primaries_is_not_taken_for_srgb() -> None:
    grey = np.full((1, 1, 3), 16, np.uint8)
    converted = convert_to_srgb(grey, 8, matrix_profile("sRGB", gamma_tag(2.2)))
    assert (converted == round(255 * 12.92 * (16 / 255) ** 2.2)).all()  # 7


@pytest.mark.parametrize("bit_depth", DEPTHS)
def test_xyb_profile_equals_its_arithmetic(photos, bit_depth) -> None:
    samples = quantize(profiles.encode_xyb(photos["coffee"] / 255), bit_depth)
    converted = convert_to_srgb(samples, bit_depth, profiles.xyb_profile())
    expected = profiles.decode_xyb(samples / white(bit_depth))
    # The table of the profile holds 16 bits, where cubes and a matrix follow.
    tolerance = {8: 1.0, 10: 3.0, 12: 12.0, 16: 160.0}[bit_depth]
    assert error_in_levels(converted, expected, bit_depth) <= tolerance


def test_table_of_little_cms_is_wrong_for_an_xyb_profile(photos) -> None:
    samples = quantize(profiles.encode_xyb(photos["coffee"] / 255), 8)
    exact, coarse = (
        transform(samples, 8, profiles.xyb_profile(), exact=exact).astype(int)
        for exact in (True, False)
    )
    assert np.abs(exact - coarse).max() >= 15
    converted = convert_to_srgb(samples, 8, profiles.xyb_profile())
    assert np.abs(converted - exact).max() <= 1


def test_table_that_stands_for_curves_and_a_matrix_is_exact(photos) -> None:
    tag = profiles.matrix_in_table_tag("P3", gamma_tag(2.2))
    for bit_depth, tolerance in ((8, 0.75), (16, 4)):
        samples = photo_samples(photos, bit_depth)
        converted = convert_to_srgb(samples, bit_depth, build_profile(b"RGB", {b"A2B0": tag}))
        expected = xyz_to_srgb((samples / white(bit_depth)) ** 2.2 @ to_xyz_d50("P3").T)
        assert error_in_levels(converted, expected, bit_depth) <= tolerance


@pytest.mark.parametrize("bit_depth", DEPTHS)
@pytest.mark.parametrize("gamma", [1.0, 1.8, 2.2])
def test_grey_profile_equals_float64_arithmetic(bit_depth, gamma) -> None:
    samples = quantize(np.linspace(0, 1, 1 << bit_depth), bit_depth).reshape(16, -1, 1)
    converted = convert_to_srgb(samples, bit_depth, grey_profile(gamma_tag(gamma)))
    expected = encode_srgb((samples / white(bit_depth)) ** gamma)
    assert error_in_levels(converted, np.repeat(expected, 3, axis=2), bit_depth) <= (
        1.2 if bit_depth == 16 else 0.7
    )
    assert converted.dtype == samples.dtype


def test_grey_profile_of_srgb_leaves_samples_unchanged() -> None:
    samples = random_samples(12, channels=1)
    converted = convert_to_srgb(samples, 12, grey_profile(table_tag(decode_srgb)))
    assert np.array_equal(converted, np.repeat(samples, 3, axis=2))


@pytest.mark.parametrize("bit_depth", DEPTHS)
def test_cmyk_profile_equals_float64_arithmetic(bit_depth) -> None:
    inks = np.stack(np.meshgrid(*[np.arange(4) / 3] * 4, indexing="ij"), -1).reshape(16, 16, 4)
    converted = convert_to_srgb(quantize(inks, bit_depth), bit_depth, profiles.cmyk_profile())
    expected = xyz_to_srgb(profiles.mix_ink(inks))
    assert error_in_levels(converted, expected, bit_depth) <= (40 if bit_depth == 16 else 3)
    assert converted.shape == (16, 16, 3)


@pytest.mark.parametrize("bit_depth", DEPTHS)
def test_cmyk_without_a_profile_is_the_product_of_paper(bit_depth) -> None:
    inks = random_samples(bit_depth, channels=4)
    paper = 1 - inks / white(bit_depth)
    converted = convert_to_srgb(inks, bit_depth, None)
    assert error_in_levels(converted, paper[..., :3] * paper[..., 3:], bit_depth) <= 0.5 + 1e-9
    if bit_depth == 8:
        image = Image.frombytes("CMYK", inks.shape[1::-1], inks.tobytes())
        assert np.array_equal(converted, np.asarray(image.convert("RGB")))


def test_unusable_profiles_are_ignored() -> None:
    rgb, grey = random_samples(10), random_samples(10, channels=1)
    p3 = matrix_profile("P3", gamma_tag(2.2))
    for profile in (
        None,
        "sRGB",
        b"",
        b"not a profile" * 20,
        p3[:100],
        p3[:300],
        grey_profile(gamma_tag(1.0)),  # of other channels
        profiles.cmyk_profile(),
        p3.replace(b"mntr", b"link"),
        p3.replace(b"mntr", b"abst"),
        p3.replace(b"mntr", b"nmcl"),
        p3.replace(b"RGB ", b"Lab "),
    ):
        assert convert_to_srgb(rgb, 10, profile) is rgb
    for profile in (p3, grey_profile(gamma_tag(1.0))[:170]):
        assert np.array_equal(convert_to_srgb(grey, 10, profile), np.repeat(grey, 3, axis=2))


@pytest.mark.parametrize(("transfer", "name"), [(16, "PQ"), (18, "HLG")])
@pytest.mark.parametrize("bit_depth", [8, 10])
def test_profile_of_hdr_is_refused(transfer, name, bit_depth) -> None:
    samples = random_samples(bit_depth)
    hdr = {16: profiles.decode_pq, 18: profiles.decode_hlg}[transfer]
    for profile in (
        matrix_profile("BT.2020", gamma_tag(2.2), cicp=cicp_tag(9, transfer)),
        matrix_profile("BT.2020", table_tag(hdr)),
        matrix_profile("BT.2020", gamma_tag(2.2), desc=profiles.text_tag(f"Rec. 2100 {name}")),
    ):
        for _ in range(2):  # also when the profile was seen before
            with pytest.raises(UnsupportedColour, match=f"HDR: {name}.*score SDR renditions"):
                convert_to_srgb(samples, bit_depth, profile)


def test_cicp_tag_of_sdr_and_a_broken_one_are_ignored() -> None:
    samples = random_samples(8)
    plain = convert_to_srgb(samples, 8, matrix_profile("P3", gamma_tag(2.2)))
    for tag in (cicp_tag(12, 4), cicp_tag(9, 16)[:9], b"text" + cicp_tag(9, 16)[4:]):
        profile = matrix_profile("P3", gamma_tag(2.2), cicp=tag)
        assert np.array_equal(convert_to_srgb(samples, 8, profile), plain)


def test_wide_and_tall_images_are_converted_like_others() -> None:
    samples = np.random.default_rng(2).integers(0, 1024, (1, 400_000, 3), np.uint16)
    square = samples.reshape(400, 1000, 3)
    for profile in (matrix_profile("P3", gamma_tag(2.2)), profiles.xyb_profile()):
        expected = convert_to_srgb(square, 10, profile)
        for shape in ((1, 400_000, 3), (400_000, 1, 3)):
            converted = convert_to_srgb(square.reshape(shape), 10, profile)
            assert np.array_equal(converted.reshape(square.shape), expected)
        view = np.dstack([square, square[..., :1]])[..., :3]  # as of an image with alpha
        assert np.array_equal(convert_to_srgb(view, 10, profile), expected)


def test_distinct_colours_of_a_large_image_are_converted_like_pixels(photos) -> None:
    profile = profiles.xyb_profile()
    samples = quantize(profiles.encode_xyb(photos["rocket"] / 255), 8)
    rows = np.concatenate([transform(samples[i : i + 100], 8, profile) for i in range(0, 427, 100)])
    assert samples[:100].size < 3 << 16 < samples.size
    assert np.array_equal(convert_to_srgb(samples, 8, profile), rows)
    noise = np.random.default_rng(3).integers(0, 256, (700, 700, 3), np.uint8)  # many colours
    rows = np.concatenate([transform(noise[i : i + 90], 8, profile) for i in range(0, 700, 90)])
    assert np.array_equal(convert_to_srgb(noise, 8, profile), rows)
