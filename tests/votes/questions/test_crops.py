import numpy as np
import pytest

from roi_ray.votes.questions.crops import choose_crop


@pytest.mark.parametrize(("width", "height"), [(512, 512), (100, 512), (512, 1)])
def test_images_that_are_not_larger_are_whole(width, height) -> None:
    assert choose_crop(width, height, 512, "key") is None


@pytest.mark.parametrize(("width", "height"), [(513, 512), (300, 4000), (4000, 300), (900, 800)])
def test_crop_lies_within_the_image(width, height) -> None:
    for number in range(50):
        left, top, w, h = choose_crop(width, height, 512, str(number))
        assert (w, h) == (min(width, 512), min(height, 512))
        assert 0 <= left <= width - w
        assert 0 <= top <= height - h


def test_place_follows_from_the_key_and_is_uniform() -> None:
    crops = [choose_crop(4096, 3072, 512, str(number)) for number in range(400)]
    assert crops == [choose_crop(4096, 3072, 512, str(number)) for number in range(400)]
    lefts, tops = np.array([crop[:2] for crop in crops]).T
    assert abs(lefts.mean() / 3584 - 0.5) < 0.05
    assert abs(tops.mean() / 2560 - 0.5) < 0.05
    assert abs(np.corrcoef(lefts, tops)[0, 1]) < 0.15
