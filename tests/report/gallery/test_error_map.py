"""Maps of visible differences."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from skimage.color import deltaE_ciede2000

from roi_ray.errors import SizeMismatch
from roi_ray.report.gallery import error_map
from roi_ray.report.gallery.error_map import (
    SCALES,
    choose_scale,
    colour_steps,
    draw_map,
    measure_ciede2000,
    measure_difference,
)
from tests.conftest import jpeg

# Pairs 1, 4, 7, 9, 14, 17, 20, 25, 34 of the test data of Sharma, Wu and Dalal (2005), table 1.
SHARMA = [
    ((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425),
    ((50, -1.3802, -84.2814), (50, 0, -82.7485), 1.0000),
    ((50, 0, 0), (50, -1, 2), 2.3669),
    ((50, 2.49, -0.001), (50, -2.49, 0.0009), 7.1792),
    ((50, -0.001, 2.49), (50, 0.0011, -2.49), 4.7461),
    ((50, 2.5, 0), (73, 25, -18), 27.1492),
    ((50, 2.5, 0), (58, 24, 15), 19.4535),
    ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
    ((2.0776, 0.0795, -1.135), (0.9033, -0.0636, -0.5514), 0.9082),
]


@pytest.mark.parametrize(("first", "second", "expected"), SHARMA)
def test_ciede2000_gives_published_values(first, second, expected) -> None:
    one, two = (np.array(colour, np.float64) for colour in (first, second))
    assert measure_ciede2000(one, two) == pytest.approx(expected, abs=1e-4)
    assert measure_ciede2000(two, one) == pytest.approx(expected, abs=1e-4)


def test_ciede2000_agrees_with_skimage(rng) -> None:
    low, high = (0, -90, -90), (100, 90, 90)
    first, second = (rng.uniform(low, high, (5000, 3)) for _ in range(2))
    expected = deltaE_ciede2000(first, second)
    assert measure_ciede2000(first, second) == pytest.approx(expected, abs=1e-4)


def test_equal_images_have_no_difference_and_worse_ones_a_larger(photos) -> None:
    x = photos["chelsea"][:160, :200]
    means = [measure_difference(x, image).mean() for image in (x, jpeg(x, 90), jpeg(x, 10))]
    assert means[0] == 0
    assert 0 < means[1] < means[2]


def test_grey_step_has_the_difference_of_its_lightness() -> None:
    # L* of sRGB 119 and 128 are 50.03 and 53.59; between greys, CIEDE2000 is dL / S_L.
    first, second = (np.full((32, 32, 3), level, np.uint8) for level in (119, 128))
    lightness = 50.034, 53.585
    offset = (sum(lightness) / 2 - 50) ** 2
    expected = (lightness[1] - lightness[0]) / (1 + 0.015 * offset / (20 + offset) ** 0.5)
    assert measure_difference(first, second) == pytest.approx(expected, abs=0.01)


def test_strips_and_steps_do_not_change_the_values(photos, monkeypatch) -> None:
    x = photos["coffee"][:130, :97]
    whole = measure_difference(x, jpeg(x, 30))
    monkeypatch.setattr(error_map, "_STRIP_PIXELS", 97 * 20)
    assert measure_difference(x, jpeg(x, 30)) == pytest.approx(whole, abs=1e-4)
    sampled = measure_difference(x, jpeg(x, 30), step=3)
    assert sampled == pytest.approx(whole[::3, ::3], abs=1e-4)


def test_blur_is_a_gaussian_of_one_pixel_in_linear_light(photos) -> None:
    x = photos["coffee"][:40, :50]
    linear = np.where(x <= 0.04045 * 255, x / 255 / 12.92, ((x / 255 + 0.055) / 1.055) ** 2.4)
    expected = gaussian_filter(linear, (1, 1, 0), mode="nearest", radius=(4, 4, 0))
    assert error_map._blur(x, range(40), 1) == pytest.approx(expected, abs=1e-5)
    assert error_map._blur(x, range(6, 30, 3), 3) == pytest.approx(expected[6:30:3, ::3], abs=1e-5)


def test_images_of_two_sizes_are_refused(photos) -> None:
    with pytest.raises(SizeMismatch):
        measure_difference(photos["chelsea"], photos["chelsea"][1:])


def test_scale_is_the_smallest_step_above_nearly_all_values() -> None:
    flat = np.full((20, 20), 1.5, np.float32)
    spike = flat.copy()
    spike[0, 0] = 30
    assert choose_scale([flat]) == 2
    assert choose_scale([flat, spike]) == 2
    assert choose_scale([flat, flat * 4]) == 10
    assert choose_scale([flat * 1000]) == SCALES[-1]


def test_map_is_clear_without_difference_and_brighter_and_denser_with_more() -> None:
    drawn = draw_map(np.array([[0, 1, 5, 10, 99]], np.float32), 10)
    assert drawn.shape == (1, 5, 4) and not drawn[0, 0].any()
    luma = drawn[0, 1:, :3] @ [0.299, 0.587, 0.114]
    assert (np.diff(luma) >= 0).all() and luma[2] > luma[0] + 60
    assert (np.diff(drawn[0, :, 3].astype(int)) >= 0).all()
    assert (drawn[0, 3] == drawn[0, 4]).all()
    assert (np.diff(colour_steps()[1:, :3] @ [0.299, 0.587, 0.114]) > 0).all()
