"""`HighBitDepthImage` among NumPy, pickle and Ray, and the rounding to 8 bits."""

import copy
import pickle
from fractions import Fraction

import numpy as np
import pytest

import roi_ray
from roi_ray.errors import ImageReadError
from roi_ray.imaging.pixels import HighBitDepthImage, bit_depth_of, check_pixels, to_8_bits
from tests.conftest import deepen


@pytest.fixture
def image(photos) -> HighBitDepthImage:
    return deepen(photos["chelsea"][:20, :30], 10)


def is_image(result: object, samples: object) -> bool:
    """Check that a result is a 10-bit image of these samples."""
    return (
        isinstance(result, HighBitDepthImage)
        and result.bit_depth == bit_depth_of(result) == 10
        and result.dtype == np.uint16
        and np.array_equal(result, np.asarray(samples))
    )


def test_samples_are_a_view_and_are_checked() -> None:
    samples = np.zeros((4, 5, 3), np.uint16)
    assert np.shares_memory(HighBitDepthImage(samples, 9), samples)
    samples[3, 4, 2] = 512
    with pytest.raises(ImageReadError, match="a sample of 512 does not fit into 9 bits"):
        HighBitDepthImage(samples, 9)
    assert HighBitDepthImage(samples, 10).bit_depth == 10
    for bit_depth in (8, 17):
        with pytest.raises(ImageReadError, match=f"a bit depth of {bit_depth}; uint16 samples"):
            HighBitDepthImage(samples, bit_depth)
    with pytest.raises(ImageReadError, match="must be a uint16 array"):
        HighBitDepthImage(samples.astype(np.uint8), 9)  # type: ignore[arg-type]


def test_views_and_copies_keep_the_bit_depth(image) -> None:
    plain = np.asarray(image)
    assert type(plain) is np.ndarray
    for result, expected in (
        (image[3:9, ::2], plain[3:9, ::2]),
        (image.copy(), plain),
        (copy.copy(image), plain),
        (copy.deepcopy(image), plain),
        (np.flip(image, 0), plain[::-1]),
        (np.rot90(image), np.rot90(plain)),
        (image.transpose(1, 0, 2), plain.transpose(1, 0, 2)),
    ):
        assert is_image(result, expected)
    assert not np.shares_memory(image.copy(), image)


def test_results_of_arithmetic_are_plain_arrays(image) -> None:
    plain = np.asarray(image)
    for result, expected in (
        (image / 1023, plain / 1023),
        (image >> 2, plain >> 2),
        (image * np.float32(0.5), plain * np.float32(0.5)),
        (image > 500, plain > 500),
        (np.maximum(image, image[::-1]), np.maximum(plain, plain[::-1])),
        (image.mean((0, 1)), plain.mean((0, 1))),
        (np.concatenate([image, image]), np.concatenate([plain, plain])),
        (np.pad(image, ((1, 1), (0, 0), (0, 0))), np.pad(plain, ((1, 1), (0, 0), (0, 0)))),
    ):
        assert type(result) is np.ndarray
        assert result.dtype == expected.dtype
        assert np.array_equal(result, expected)
    assert type(image.max()) is np.uint16
    assert type(image.mean()) is np.float64
    assert not hasattr(image.astype(float), "bit_depth")


def test_in_place_arithmetic_remains_an_image(image) -> None:
    halved = image.copy()
    halved //= 2
    assert is_image(halved, np.asarray(image) // 2)
    assert np.right_shift(image, 1, out=halved) is halved


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickles_keep_the_bit_depth(image, protocol) -> None:
    for each in (image, image[::2, 1:]):
        assert is_image(pickle.loads(pickle.dumps(each, protocol)), each)


def test_pickle_can_leave_the_samples_out_of_band(image) -> None:
    buffers: list[pickle.PickleBuffer] = []
    data = pickle.dumps(image, 5, buffer_callback=buffers.append)
    assert len(data) < 500
    result = pickle.loads(data, buffers=buffers)
    assert is_image(result, image)
    assert np.shares_memory(result, image)


def test_ray_carries_the_bit_depth_without_a_copy(ray_cluster, image) -> None:
    import ray

    large = HighBitDepthImage(np.tile(np.asarray(image), (20, 20, 1)), 10)
    stored = ray.put(large)
    first, second = ray.get(stored), ray.get(stored)
    assert is_image(first, large)
    assert np.shares_memory(first, second)
    assert ray.get(ray.remote(bit_depth_of).remote(stored)) == 10


@pytest.mark.parametrize("bit_depth", [9, 10, 12, 16])
def test_rounding_to_8_bits_is_to_the_nearest_level(bit_depth) -> None:
    white = 2**bit_depth - 1
    ramp = np.arange(white + 1, dtype=np.uint16)[None]
    got = to_8_bits(HighBitDepthImage(ramp, bit_depth))
    assert got.dtype == np.uint8
    assert type(got) is np.ndarray
    expected = [
        (Fraction(255 * value, white) + Fraction(1, 2)).__floor__() for value in range(white + 1)
    ]
    assert got[0].tolist() == expected
    assert to_8_bits(got) is got


def test_image_of_more_than_8_bits_is_accepted_and_its_relatives_are_not(image) -> None:
    check_pixels(image)
    assert roi_ray.load_image(image) is image
    for array in (np.asarray(image), np.concatenate([image, image]), image >> 2):
        with pytest.raises(ImageReadError, match=r"give roi_ray\.HighBitDepthImage\(array, bit_"):
            roi_ray.load_image(array)
    for array in (image.astype(float), image[..., 0], image[..., :1], image.view(np.uint8)):
        with pytest.raises(ImageReadError, match=r"which should be uint8 \(height, width, 3\)"):
            roi_ray.load_image(array)
    with pytest.raises(ImageReadError, match=r"which should be uint8 \(height, width\)"):
        check_pixels(image[..., 0], channels=())
