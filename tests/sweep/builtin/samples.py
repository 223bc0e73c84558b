"""Photographs and measures that the tests of the built-in codecs share."""

import importlib.util

import numpy as np
import pytest

from roi_ray.imaging.decode import decode_image
from roi_ray.imaging.pixels import HighBitDepthImage, bit_depth_of
from roi_ray.sweep.builtin import BUILTIN
from roi_ray.sweep.sample_images import photographs

needs_pyjpegli = pytest.mark.skipif(
    importlib.util.find_spec("pyjpegli") is None, reason="pyjpegli is not installed"
)
NAMES = [pytest.param(name, marks=needs_pyjpegli if name == "jpegli" else ()) for name in BUILTIN]


def photograph(name="coffee", side=160):
    return decode_image(photographs()[name].read_bytes())[100 : 100 + side, 150 : 150 + side]


def deep_photograph(side=160):
    """A photograph at half size: means of 2 x 2 samples of 8 bits have more bits than 8."""
    full = decode_image(photographs()["motorcycle_left"].read_bytes())[: 2 * side, : 2 * side]
    mean = full.reshape(side, 2, side, 2, 3).mean((1, 3))
    return HighBitDepthImage(np.round(mean * 257).astype(np.uint16), 16)


def levels(image):
    """Samples as 0..1."""
    return np.asarray(image, np.float64) / ((1 << bit_depth_of(image)) - 1)


def psnr(image, reference):
    with np.errstate(divide="ignore"):
        return -10 * np.log10(np.mean((levels(image) - levels(reference)) ** 2))
