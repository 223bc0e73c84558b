"""Numbers under given masks: at every border, in every corner, and without any region."""

import numpy as np
import pytest
import torch

from roi_ray import metrics
from roi_ray.models import discriminator
from roi_ray.scoring.scorer import Scorer
from roi_ray.settings import DEFAULT_DISCRIMINATOR, Settings
from roi_ray.verification import literal
from tests.conftest import jpeg, to_tensor
from tests.models.test_lpips import build_package_alex

SIZES = [(499, 512), (299, 451), (163, 240), (67, 131), (37, 300)]
QUALITIES = (5, 25, 60, 90)
WEIGHTINGS = ("mean", "normalised")

REGIONS = {
    "top": (slice(None, 1), slice(None)),
    "bottom": (slice(-1, None), slice(None)),
    "left": (slice(None), slice(None, 1)),
    "right": (slice(None), slice(-1, None)),
    "top left": (slice(None, 1), slice(None, 1)),
    "top right": (slice(None, 1), slice(-1, None)),
    "bottom left": (slice(-1, None), slice(None, 1)),
    "bottom right": (slice(-1, None), slice(-1, None)),
}


def make_mask(region: str, size: tuple[int, int]):
    """Make a band along a border, or a square in a corner: an eighth of the sides, or more."""
    thickness = max(16, min(size) // 8)

    def widen(part: slice) -> slice:
        return slice(part.start and part.start * thickness, part.stop and part.stop * thickness)

    rows, columns = REGIONS[region]
    mask = np.zeros(size, np.uint8)
    mask[widen(rows), widen(columns)] = 255
    return mask


@pytest.mark.parametrize("weighting", WEIGHTINGS)
@pytest.mark.parametrize("size", SIZES)
def test_regions_at_borders_and_corners_order_qualities(photos, size, weighting) -> None:
    x = np.ascontiguousarray(photos["motorcycle_left"][: size[0], : size[1]])
    several = torch.stack([to_tensor(jpeg(x, quality)) for quality in QUALITIES])
    for region in REGIONS:
        mask = torch.from_numpy(make_mask(region, size))
        scores = metrics.ms_ssim(to_tensor(x), several, mask, weighting).tolist()
        assert scores[0] > 0, region
        assert scores == sorted(set(scores)), region


@pytest.fixture(scope="module")
def networks():
    return build_package_alex(), discriminator.load_discriminator(DEFAULT_DISCRIMINATOR)[0]


@pytest.mark.parametrize("weighting", WEIGHTINGS)
@pytest.mark.parametrize("size", SIZES[2:])
def test_numbers_under_given_masks_equal_the_literal_method(
    photos, networks, size, weighting
) -> None:
    scorer = Scorer(Settings(roi_weighting=weighting))
    # A photograph without flat areas, where float32 leaves MS-SSIM fewer digits.
    x = np.ascontiguousarray(photos["coffee"][: size[0], : size[1]])
    y = jpeg(x, 20)
    for region in ("bottom", "left", "top right"):
        mask = make_mask(region, size)
        (scores,) = scorer.score(scorer.prepare(x, mask), [y])
        expected = literal.compute_scores(x / 255, y / 255, mask / 255, weighting, *networks)
        got = {name: value for name, value in scores.to_dict().items() if name in expected}
        assert len(got) == 21
        assert got == pytest.approx(expected, abs=1e-5)


def test_tiny_images_equal_the_literal_method(photos, networks) -> None:
    """Images smaller than a network needs are padded, and their masks too."""
    scorer = Scorer()
    x = np.ascontiguousarray(photos["astronaut"][:17, :23])
    y = jpeg(x, 20)
    mask = make_mask("left", (17, 23))
    (scores,) = scorer.score(scorer.prepare(x, mask), [y])
    loaded = scorer._networks
    sides = (loaded.lpips.min_side, loaded.discriminator.min_side)
    assert min(sides) > 17
    expected = literal.compute_scores(x / 255, y / 255, mask / 255, "mean", *networks, sides)
    got = {name: value for name, value in scores.to_dict().items() if name in expected}
    assert got == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_empty_mask_has_no_numbers_of_the_region(photos, networks, weighting) -> None:
    scorer = Scorer(Settings(roi_weighting=weighting))
    x = np.ascontiguousarray(photos["astronaut"][:163, :170])
    y = jpeg(x, 20)
    mask = np.zeros(x.shape[:2], np.uint8)
    (scores,) = scorer.score(scorer.prepare(x, mask), [y])
    expected = literal.compute_scores(x / 255, y / 255, mask / 255, weighting, *networks)
    got = {name: value for name, value in scores.to_dict().items() if name in expected}
    regions = [name for name in got if name.startswith("roi_") and name != "roi_fraction"]
    assert len(regions) == 10
    assert {got[name] for name in regions} == {expected[name] for name in regions} == {None}
    assert scores.roi_fraction == expected["roi_fraction"] == 0
    for name in got.keys() - regions:
        assert got[name] == pytest.approx(expected[name], abs=1e-5)
