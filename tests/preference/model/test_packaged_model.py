"""The packaged model on images whose order nobody doubts."""

import io
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

import roi_ray
from roi_ray import Settings
from roi_ray.preference.model.preference_model import load_preference_model
from tests.conftest import Photos, encode

Plane = NDArray[np.float64]
Damage = Callable[[Plane], Plane]

NAMES = ("coffee", "chelsea")
LUMA, BLUE, RED = range(3)


def noise(sigma: float) -> Damage:
    random = np.random.default_rng(0)
    return lambda plane: plane + sigma * random.normal(size=plane.shape)


def blur(sigma: float) -> Damage:
    return lambda plane: gaussian_filter(plane, sigma)


def shift(levels: float) -> Damage:
    return lambda plane: plane + levels


def fade(share: float) -> Damage:
    return lambda plane: 128 + share * (plane - 128)


DAMAGES: dict[str, tuple[int, Damage]] = {
    f"{name} of {('luma', 'blue', 'red')[channel]}": (channel, damage)
    for channel in (LUMA, BLUE, RED)
    for name, damage in {
        "noise": noise(6),
        "blur": blur(4),
        "shift": shift(5),
        "fading": fade(0.7),
    }.items()
}


@pytest.fixture(scope="module")
def scorer() -> roi_ray.Scorer:
    return roi_ray.Scorer(Settings(metrics=("ssimulacra2",)))


def damage(pixels: NDArray[np.uint8], channel: int, change: Damage) -> NDArray[np.uint8]:
    planes = np.array(Image.fromarray(pixels).convert("YCbCr"), np.float64)
    planes[..., channel] = change(planes[..., channel])
    rounded = planes.round().clip(0, 255).astype(np.uint8)
    return np.array(Image.fromarray(rounded, "YCbCr").convert("RGB"))


def decode(data: bytes) -> NDArray[np.uint8]:
    return np.array(Image.open(io.BytesIO(data)).convert("RGB"))


@pytest.mark.parametrize("name", NAMES)
def test_image_with_further_damage_is_not_preferred(photos: Photos, scorer, name) -> None:
    # With weights of either sign, a model preferred images whose blue was wrong.
    photo = photos[name][:256, :384]
    decoded = decode(encode(photo, "JPEG", quality=85, subsampling=0))
    damaged = [damage(decoded, *each) for each in DAMAGES.values()]
    good, *bad = scorer.score(scorer.prepare(photo), [decoded, *damaged])
    shares = load_preference_model().predict([good] * len(bad), bad)
    assert {each: share for each, share in zip(DAMAGES, shares, strict=True) if share < 0.5} == {}
    assert shares.max() > 0.95


@pytest.mark.parametrize("codec", ["JPEG", "WEBP", "AVIF", "JPEG2000"])
def test_higher_quality_is_preferred_whatever_the_codec(photos: Photos, scorer, codec) -> None:
    steps = (20, 40, 60, 80, 95)
    options = (
        [{"quality_mode": "rates", "quality_layers": [2 ** (7 - step / 16)]} for step in steps]
        if codec == "JPEG2000"
        else [{"quality": step} for step in steps]
    )
    for name in NAMES:
        photo = photos[name][:256, :384]
        images = [decode(encode(photo, codec, **each)) for each in options]
        scores = scorer.score(scorer.prepare(photo), images)
        shares = load_preference_model().predict(scores[1:], scores[:-1])
        assert (shares > 0.5).all(), (name, shares)
