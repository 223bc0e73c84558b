"""Which part of an image the gallery shows."""

import numpy as np
import pytest

from roi_ray.report.gallery.crops import Crop, choose_crop


def test_window_with_the_largest_difference_is_found(rng) -> None:
    first, second = rng.random((2, 40, 50)).astype(np.float32)
    crop = choose_crop(first, second, (40, 50), 16)
    sums = {
        (top, left): abs((first - second)[top : top + 16, left : left + 16].sum())
        for top in range(25)
        for left in range(35)
    }
    assert (crop.top, crop.left) == max(sums, key=sums.__getitem__)
    assert (crop.width, crop.height) == (16, 16)


@pytest.mark.parametrize("worse", ["first", "second", "only"])
def test_crop_holds_the_place_of_the_error(worse) -> None:
    clean, bad = np.zeros((2, 60, 80), np.float32)
    bad[50:55, 8:12] = 3
    pair = {"first": (bad, clean), "second": (clean, bad), "only": (bad, None)}[worse]
    crop = choose_crop(*pair, (60, 80), 20)
    rows, columns = crop.slices
    assert bad[rows, columns].sum() == bad.sum()


def test_errors_that_both_have_do_not_count() -> None:
    both = np.zeros((40, 40), np.float32)
    both[:10, :10] = 9
    second = both.copy()
    second[35, 35] = 1
    rows, columns = choose_crop(both, second, (40, 40), 8).slices
    assert second[rows, columns].sum() == 1


def test_middle_is_shown_where_nothing_differs() -> None:
    same = np.ones((40, 60), np.float32)
    assert choose_crop(same, same, (40, 60), 20) == Crop(20, 10, 20, 20)


@pytest.mark.parametrize(("size", "step"), [((100, 301), 3), ((30, 500), 4), ((7, 9), 1)])
def test_crop_is_inside_the_image(size, step, rng) -> None:
    shape = tuple(-(-side // step) for side in size)
    for _ in range(5):
        first, second = rng.random((2, *shape)).astype(np.float32)
        crop = choose_crop(first, second, size, 64, step)
        assert (crop.height, crop.width) == (min(64, size[0]), min(64, size[1]))
        assert 0 <= crop.top <= size[0] - crop.height
        assert 0 <= crop.left <= size[1] - crop.width


def test_crop_of_a_crop_is_told_in_the_whole_image() -> None:
    assert Crop(3, 4, 10, 10).within(Crop(100, 200, 50, 50)) == Crop(103, 204, 10, 10)
