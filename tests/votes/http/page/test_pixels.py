"""What the screen shows, pixel by pixel: image pixels, one by one, and always the same part."""

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from tests.votes.http.page.conftest import PHONE

SURROUND = 108
BOXES = "all => all.map(one => JSON.stringify(one.getBoundingClientRect()))"
SMALL_PHONE = PHONE | {"viewport": {"width": 320, "height": 568}, "device_scale_factor": 1}


def place(image, shape):
    """Compute what a pane of a shape shows of an image at first, (H, W, 3): its middle."""
    height, width = shape[:2]
    rows, columns = min(height, image.shape[0]), min(width, image.shape[1])
    y, x = max(0, (height - rows) // 2), max(0, (width - columns) // 2)
    top, left = max(0, (image.shape[0] - height) // 2), max(0, (image.shape[1] - width) // 2)
    pane = np.full((height, width, 3), SURROUND, np.uint8)
    pane[y : y + rows, x : x + columns] = image[top : top + rows, left : left + columns]
    return pane


def check_middle(panes, images) -> None:
    """Check that both panes show the middle of their images; one may be a pixel larger."""
    height, width = np.minimum(panes[0].shape, panes[1].shape)[:2]
    for pane, image in zip(panes, images, strict=True):
        expected = np.full_like(pane, SURROUND)
        expected[:height, :width] = place(image, (height, width))
        assert np.array_equal(pane, expected)


def find_part(pane, image) -> tuple[int, int]:
    """Find left and top of the part of an image that fills a pane but for, perhaps, its edges."""
    filled = (pane != SURROUND).any(-1)
    pane = pane[: filled.any(1).sum(), : filled.any(0).sum()]
    windows = sliding_window_view(image[..., 0], pane.shape[1], axis=1)
    for top, left in np.argwhere((windows == pane[0, :, 0]).all(-1)):
        if np.array_equal(image[top : top + len(pane), left : left + pane.shape[1]], pane):
            return int(left), int(top)
    raise AssertionError("the pane shows no part of the image")


def check_part(panes, images, left: int, top: int) -> None:
    """Check that both panes show their images from a column and row on."""
    for pane, image in zip(panes, images, strict=True):
        filled = (pane != SURROUND).any(-1)
        rows, columns = filled.any(1).sum(), filled.any(0).sum()
        part = image[top : top + rows, left : left + columns]
        assert np.array_equal(pane[:rows, :columns], part)


@pytest.mark.parametrize(
    ("width", "height", "ratio"),
    [
        (1280, 800, 1),
        (700, 500, 1.25),
        (411, 731, 2.625),
        (844, 390, 3),
    ],
)
def test_screen_shows_the_pixels_that_the_server_sends(
    open_rater, launch_screen, width, height, ratio
) -> None:
    rater = open_rater(launch_screen(width, height, ratio), no_viewport=True, practised=True)
    ask = rater.wait_for_question()
    images = {role: rater.fetch(ask, role) for role in ("original", "1", "2")}
    for shown in ("1", "2"):
        check_middle(rater.look(), (images["original"], images[shown]))
        rater.page.keyboard.press("Space")


def test_arrow_keys_move_both_by_an_eighth_and_flips_keep_the_place(open_rater) -> None:
    rater = open_rater(viewport={"width": 640, "height": 520}, practised=True)
    ask = rater.wait_for_question()
    images = {role: rater.fetch(ask, role) for role in ("original", "1", "2")}
    left, top = find_part(rater.look()[0], images["original"])
    height, width = np.min([pane.shape for pane in rater.look()], axis=0)[:2]
    lowest, rightmost = np.subtract(images["original"].shape[:2], (height, width))
    across, along = int(width / 8 + 0.5), int(height / 8 + 0.5)
    steps = {"ArrowRight": (across, 0), "ArrowUp": (0, -along), "ArrowLeft": (-across, 0)}
    for key, (right, down) in steps.items():
        rater.page.keyboard.press(key)
        # The smallest photograph ends before it has moved by an eighth.
        left, top = np.clip(left + right, 0, rightmost), np.clip(top + down, 0, lowest)
        for role in ("1", "2"):
            check_part(rater.look(), (images["original"], images[role]), left, top)
            rater.page.keyboard.press("Space")
    for _ in range(40):
        rater.page.keyboard.press("ArrowLeft")
    check_part(rater.look(), (images["original"], images["1"]), 0, top)


def test_drag_moves_both_by_as_many_pixels_and_is_no_flip(open_rater, launch_screen) -> None:
    rater = open_rater(launch_screen(600, 440, 1.25), no_viewport=True, practised=True)
    ask = rater.wait_for_question()
    images = rater.fetch(ask, "original"), rater.fetch(ask, "1")
    left, top = find_part(rater.look()[0], images[0])
    for pane, right, down in (("original", 16, 8), ("candidate", -24, -4)):
        box = rater.page.locator(f"#{pane}").bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        rater.page.mouse.move(x, y)
        rater.page.mouse.down()
        rater.page.mouse.move(x + right, y + down, steps=7)
        rater.page.mouse.up()
        left, top = left - right * 5 // 4, top - down * 5 // 4
        check_part(rater.look(), images, left, top)
    assert rater.page.locator(".chip.is-shown").text_content() == "1"


def test_finger_taps_to_flip_and_drags_to_move(open_rater) -> None:
    rater = open_rater(**SMALL_PHONE).join()
    ask, page = rater.wait_for_question(), rater.page
    original = rater.fetch(ask, "original")
    left, top = find_part(rater.look()[0], original)
    page.locator("#original").tap()
    assert page.locator(".chip.is-shown").text_content() == "1"
    page.locator("#candidate").tap()
    assert page.locator(".chip.is-shown").text_content() == "2"
    box = page.locator("#candidate").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    touch = rater.context.new_cdp_session(page)
    for kind, right in (("touchStart", 0), ("touchMove", 6), ("touchMove", 12), ("touchEnd", 0)):
        points = [] if kind == "touchEnd" else [{"x": x + right, "y": y}]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    assert find_part(rater.look()[0], original) == (left - 12, top)
    assert page.locator(".chip.is-shown").text_content() == "2"
    page.locator("#choose-1").tap()
    page.locator("#feedback").wait_for()
    assert rater.sent[0]["screen"]["pixel_ratio"] == 1
    for button in page.locator("button:visible").all():
        assert min(button.bounding_box()[side] for side in ("width", "height")) >= 44


def test_window_that_changes_its_size_keeps_pixels_whole(open_rater) -> None:
    rater = open_rater(practised=True)
    ask = rater.wait_for_question()
    images = rater.fetch(ask, "original"), rater.fetch(ask, "1")
    for width, height in ((701, 455), (455, 901), (1280, 800)):
        rater.page.set_viewport_size({"width": width, "height": height})
        check_middle(rater.look(), images)
    rater.page.evaluate("window.shifts = []")


def test_panes_keep_their_places_whatever_the_images(open_rater) -> None:
    rater = open_rater(practised=True)
    boxes, sizes = [], set()
    for _ in range(6):
        ask = rater.wait_for_question()
        boxes.append(rater.page.locator("canvas").evaluate_all(BOXES))
        sizes.add((rater.find(ask)["width"], rater.find(ask)["height"]))
        rater.answer("none", flips=2)
        rater.wait_for_question(ask)
    assert len(sizes) > 1
    assert all(box == boxes[0] for box in boxes)


def test_wheel_moves_the_images_and_scrolls_the_page_where_they_do_not_move(open_rater) -> None:
    rater = open_rater(viewport={"width": 320, "height": 256}, practised=True)
    ask, page = rater.wait_for_question(), rater.page
    original = rater.fetch(ask, "original")
    _, top = find_part(rater.look()[0], original)
    page.mouse.move(60, 110)
    page.mouse.wheel(0, 8)
    page.wait_for_timeout(100)
    assert page.evaluate("scrollY") == 0
    assert find_part(rater.look()[0], original)[1] == top + 8
    page.mouse.wheel(0, 2000)
    page.mouse.wheel(0, 50)
    page.wait_for_function("() => scrollY > 0")
    assert page.locator("#original").evaluate("one => getComputedStyle(one).touchAction") == "none"
