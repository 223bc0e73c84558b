"""Cropping, rotation and mirroring of HEIF, by arithmetic on indices."""

from itertools import product

import numpy as np
import pytest

from roi_ray.errors import ImageReadError
from roi_ray.imaging.convert import to_srgb
from roi_ray.imaging.heif.transforms import apply_transforms
from roi_ray.imaging.raster import Raster
from tests.imaging.heif_files import clap, imir, irot, ispe

SAMPLES = np.arange(5 * 8 * 3, dtype=np.uint8).reshape(5, 8, 3)


def transform(*properties) -> np.ndarray:
    samples, orientation = apply_transforms(SAMPLES, properties)
    return to_srgb(Raster(samples, orientation=orientation))


@pytest.mark.parametrize("turns", list(product(range(6), repeat=3)))
def test_turns_follow_each_other(turns) -> None:
    properties, expected = [], SAMPLES
    for turn in turns:
        if turn < 4:
            properties.append(irot(turn))
            expected = np.rot90(expected, turn)
        else:
            properties.append(imir(turn - 4))
            expected = np.flip(expected, turn - 4)
    assert np.array_equal(transform(*properties), expected)


def test_crop_before_and_after_turning() -> None:
    assert np.array_equal(transform(ispe(8, 5), clap(4, 3)), SAMPLES[1:4, 2:6])
    assert np.array_equal(transform(clap(4, 3, 2, -1), irot(1)), np.rot90(SAMPLES[0:3, 4:8]))
    assert np.array_equal(transform(irot(1), clap(3, 4, 1, 0)), np.rot90(SAMPLES)[2:6, 2:5])
    assert np.array_equal(transform(clap(6, 5), clap(4, 3)), SAMPLES[1:4, 2:6])


def test_fractions_of_whole_pixels_are_read() -> None:
    # A width of 5 at an offset of 1/2 begins at (8 - 5) / 2 + 1/2 = 2.
    aperture = clap(10, 9, 1, -4, denominators=(2, 3, 2, 4))
    assert np.array_equal(transform(aperture), SAMPLES[0:3, 2:7])


@pytest.mark.parametrize(
    "aperture",
    [
        clap(5, 3),  # begins at 1.5
        clap(4, 3, 3, 0),  # beyond the right edge
        clap(4, 3, -3, 0),
        clap(4, 3, 0, 2),
        clap(10, 3),
        clap(0, 3),
        clap(4, 0),
        clap(9, 3, denominators=(2, 1, 1, 1)),
        clap(4, 3, denominators=(1, 1, 0, 1)),
        (b"clap", bytes(32)),
        (b"clap", b"\xff" * 32),
        (b"clap", bytes(31)),
    ],
)
def test_aperture_that_is_not_of_whole_pixels_inside_the_image_is_refused(aperture) -> None:
    with pytest.raises(ImageReadError):
        transform(aperture)
