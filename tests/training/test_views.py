from collections import Counter

import numpy as np
import pytest
from PIL import Image

from roi_ray.errors import ManifestError
from roi_ray.training.views import (
    SourceNames,
    View,
    cut_out_object,
    plan_views,
    render_view,
    shows_object,
)

SOURCES = SourceNames(["astronaut", "cat", "coffee"], ["cat"])


class Photographs:
    """Photographs; the object of each is its left upper quarter."""

    def __init__(self, photos):
        self._photos = photos

    def read_photograph(self, name):
        return Image.fromarray(self._photos[name])

    def read_object(self, name):
        image = self._photos[name]
        mask = np.zeros(image.shape[:2], np.uint8)
        mask[: len(mask) // 2, : mask.shape[1] // 2] = 255
        return cut_out_object(image, mask)


def test_plan_is_deterministic_and_its_photographs_take_turns():
    views = plan_views(SOURCES, crops=30, composites=60, seed=1)
    assert views == plan_views(SOURCES, crops=30, composites=60, seed=1)
    assert Counter(view.kind for view in views) == {"crop": 30, "composite": 60}
    assert set(Counter(view.parents[0] for view in views).values()) == {30}
    assert {view.parents[1:] for view in views if view.kind == "crop"} == {()}
    pasted = {view.parents[1:] for view in views if view.kind == "composite"}
    assert pasted == {("cat",), ("cat", "cat"), ("cat", "cat", "cat")}


def test_view_names_are_unique_within_and_between_plans():
    other = SourceNames(["astronaut", "cat", "rocket"], ["cat"])
    plans = [
        plan_views(SOURCES, 20, 20, 1),
        plan_views(SOURCES, 20, 20, 2),
        plan_views(other, 20, 20, 1),
    ]
    views = {(view.name, view.parents) for views in plans for view in views}
    assert len({name for name, _ in views}) == len(views)


def test_plan_without_photographs_or_objects_is_a_manifest_error():
    with pytest.raises(ManifestError, match="no photographs"):
        plan_views(SourceNames([], []), 1, 0, 0)
    with pytest.raises(ManifestError, match="no objects for composites"):
        plan_views(SourceNames(["cat"], []), 0, 1, 0)
    assert len(plan_views(SourceNames(["cat"], []), 1, 0, 0)) == 1


def test_whole_view_keeps_the_aspect_ratio_and_has_at_most_512_by_512_pixels(photos):
    image = render_view(View("coffee", "whole", ("coffee",)), Photographs(photos))
    height, width = photos["coffee"].shape[:2]
    assert abs(image.shape[1] / image.shape[0] - width / height) < 0.01
    assert image.shape[0] * image.shape[1] == pytest.approx(min(512**2, height * width), rel=0.01)


def test_crop_is_a_part_of_the_photograph_or_of_its_reflection(photos):
    photo = np.ascontiguousarray(photos["coffee"][:300, :400])  # small: not scaled
    sides = set()
    for number in range(8):
        view = View(f"crop-{number}", "crop", ("coffee",))
        part = render_view(view, Photographs({"coffee": photo}))
        assert np.array_equal(part, render_view(view, Photographs({"coffee": photo})))
        height, width = part.shape[:2]
        share = height * width / (300 * 400)
        assert 0.2 < share < 0.95
        rows = np.lib.stride_tricks.sliding_window_view(photo, (1, width, 3))[:, :, 0, 0]
        matches = [(rows == part[0][::step]).all((2, 3)).any() for step in (1, -1)]
        assert any(matches)
        sides.add((height, width))
    assert len(sides) == 8


def test_composite_shows_the_pasted_object(photos):
    grey = np.full((256, 256, 3), 128, np.uint8)
    red = np.zeros((256, 256, 3), np.uint8)
    red[..., 0] = 255
    sources = Photographs({"grey": grey, "red": red})
    for number in range(8):
        view = View(f"composite-{number}", "composite", ("grey", "red"))
        image = render_view(view, sources).astype(int)
        share = (np.abs(image - [255, 0, 0]).max(-1) < 40).mean()
        assert 0.01 < share < 0.6
        assert (image == 128).all(-1).mean() > 0.2


def test_shows_object_only_for_a_clear_object_of_medium_size():
    empty, scene, guess, thing = (np.zeros((100, 100), np.uint8) for _ in range(4))
    scene[:] = 255
    guess[20:50, 20:50] = 120
    thing[20:50, 20:50] = 255
    assert [shows_object(mask) for mask in (empty, scene, guess, thing)] == [False] * 3 + [True]
    rgba = cut_out_object(np.full((100, 100, 3), 9, np.uint8), thing)
    assert rgba.mode == "RGBA"
    assert rgba.size == (30, 30)
    assert rgba.getextrema() == ((9, 9), (9, 9), (9, 9), (255, 255))


def test_very_long_photograph_is_shrunk_to_the_limit_of_webp():
    photos = Photographs({"long": np.zeros((10, 20_000, 3), np.uint8)})
    assert render_view(View("v", "whole", ("long",)), photos).shape[1] <= 16_383
