"""The viewer of the gallery in a real browser."""

import io
import re

import numpy as np
import pytest
from PIL import Image

from roi_ray.decision.decide import decide
from roi_ray.decision.highlights.choose import Highlight
from roi_ray.decision.sweep_scores import read_sweep_scores
from roi_ray.imaging.decode import decode_image
from roi_ray.report.gallery.gallery import make_gallery
from roi_ray.report.gallery.items import Gallery
from roi_ray.report.page.page import _make_environment as make_environment
from roi_ray.report.page.page import write_page
from tests.report.conftest import HOSTILE_NAME

HOSTILE_TEXT = "</script><script>throw Error('hostile')</script><b>bold</b>"
FILES = {
    "reference": "originals/chelsea.png",
    "a": "decoded/jpeg/chelsea-q10.jpg",
    "b": "decoded/webp/chelsea-q90.webp",
}
SECTION = """<!doctype html>
<html lang="en" data-theme="system"><head><meta charset="utf-8"><title>Gallery</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>{{ read_asset("page.css") }}{{ read_asset("tables.css") }}{{ read_asset("gallery.css") }}
</style></head>
<body><main><section id="gallery"><h2>Gallery</h2>{% include "gallery.html" %}</section></main>
<script>{{ read_asset("gallery.js") }}</script></body></html>"""
FRAME = '.gallery-pane[data-pane="0"] .gallery-frame'
PICTURES = """[...document.querySelectorAll('#gallery img')]
    .filter((e) => e.offsetWidth && !e.closest('.gallery-list'))"""


@pytest.fixture(scope="module")
def originals(gallery_sweep) -> dict[str, np.ndarray]:
    """What the codecs made of the first item's image."""
    return {role: decode_image((gallery_sweep / file).read_bytes()) for role, file in FILES.items()}


@pytest.fixture(scope="module")
def gallery(gallery_sweep) -> Gallery:
    """Two candidates, a worst cell with hostile texts, and a cell without pictures."""
    scores = read_sweep_scores(str(gallery_sweep / "scores"))

    def find(name: str, codec: str, point: int) -> int:
        (image,) = [number for number, each in enumerate(scores.images) if name in each]
        return int(scores.codecs[codec].rows[image, point])

    image = {name: next(x for x in scores.images if name in x) for name in ("chelsea", "<")}
    pair = (find("chelsea", "jpeg", 0), find("chelsea", "webp", 2))
    highlights = [
        Highlight("difference", "At the same bit rate they differ", image["chelsea"], pair),
        Highlight("worst", HOSTILE_TEXT, image["<"], (find("<", "webp", 0),)),
        Highlight("worst", "Its file is gone", "originals/gone.png", pair[:1]),
    ]
    return make_gallery(scores, highlights)


@pytest.fixture(scope="module")
def section(gallery) -> bytes:
    """A page of the gallery alone, which opens faster."""
    return make_environment().from_string(SECTION).render(gallery=gallery).encode()


@pytest.fixture(scope="module")
def whole_page(gallery, gallery_sweep) -> bytes:
    decision = decide(read_sweep_scores(str(gallery_sweep / "scores")), resamples=50)
    return write_page(decision, gallery)


@pytest.fixture
def open_gallery(open_page, section):
    """A function that opens a page, and waits until the first item is shown."""

    def open_document(width: int = 1280, document: bytes = section, **options):
        page = open_page(document, width, **options)
        page.locator("#gallery-viewer").scroll_into_view_if_needed()
        page.wait_for_selector(f'{FRAME} [data-role="a"] .gallery-picture', state="visible")
        return page

    return open_document


def shown(page, frame: str = FRAME) -> np.ndarray:
    """The pixels that the browser shows in a frame."""
    page.locator(frame).scroll_into_view_if_needed()
    box = page.locator(frame).bounding_box()
    left, top = round(box["x"]), round(box["y"])
    with Image.open(io.BytesIO(page.screenshot())) as image:
        seen = np.asarray(image.convert("RGB"))
    return seen[top : top + round(box["height"]), left : left + round(box["width"])]


def check(page, name: str, value: str) -> None:
    page.locator(f'input[name="gallery-{name}"][value="{value}"]').check()


def show_view(page, view: str) -> None:
    """Choose a view, and wait until its pictures are shown."""
    check(page, "view", view)
    page.wait_for_function(
        "panes => document.querySelectorAll('.gallery-pane:not([hidden])').length === panes"
        f" && {PICTURES}.every((e) => e.naturalWidth)",
        arg=3 if view == "side" else 1,
    )


@pytest.mark.parametrize("part", ["section", "whole_page"])
def test_picture_is_the_codecs_output_pixel_by_pixel(
    open_gallery, originals, part, request
) -> None:
    page = open_gallery(document=request.getfixturevalue(part))
    for key, role in (("2", "a"), ("3", "b"), ("1", "reference")):
        page.locator(FRAME).focus()
        page.keyboard.press(key)
        assert (shown(page) == originals[role]).all(), role
        assert page.locator(f'input[name="gallery-role"][value="{role}"]').is_checked()


@pytest.mark.parametrize("how", ["click", "space", "enter", "tap"])
def test_flip_shows_the_other_candidate_and_moves_nothing(open_gallery, originals, how) -> None:
    page = open_gallery(has_touch=how == "tap")
    frame = page.locator(FRAME)
    act = {
        "click": lambda: frame.click(position={"x": 50, "y": 50}),
        "space": lambda: frame.press(" "),
        "enter": lambda: frame.press("Enter"),
        "tap": lambda: frame.tap(position={"x": 50, "y": 50}),
    }[how]
    box = "[...document.querySelectorAll('#gallery *')].map((e) => e.getBoundingClientRect().top)"
    frame.focus()
    before = page.evaluate(box)
    for role in ("b", "a", "b"):
        act()
        assert (shown(page) == originals[role]).all()
        assert "webp" in page.locator("#gallery-status").text_content() or role == "a"
    assert page.evaluate(box) == before


def test_flip_between_reference_and_candidate(open_gallery, originals) -> None:
    page = open_gallery()
    check(page, "pair", "reference b")
    assert (shown(page) == originals["b"]).all()
    page.locator(FRAME).press(" ")
    assert (shown(page) == originals["reference"]).all()


def test_slider_slides_by_keyboard_and_by_drag(open_gallery, originals) -> None:
    page = open_gallery()
    check(page, "view", "slider")

    def expect(split: int) -> None:
        page.wait_for_function(
            "x => document.querySelector('.gallery-divider').style.left === `${x}px`", arg=split
        )
        seen, margin = shown(page), 24  # the line and its handle
        left, right = slice(0, max(0, split - margin)), slice(split + margin, None)
        assert (seen[:, left] == originals["a"][:, left]).all()
        assert (seen[:, right] == originals["b"][:, right]).all()

    expect(120)
    slider = page.get_by_label("Position of the slider")
    slider.press("Home")
    expect(0)
    slider.press("End")
    expect(240)
    slider.press("ArrowLeft")
    expect(239)  # half a percent of 240
    assert "jpeg" in slider.get_attribute("aria-valuetext")
    slider.fill("50")
    box = page.locator(FRAME).bounding_box()
    page.mouse.move(box["x"] + 120, box["y"] + 80)
    page.mouse.down()
    page.mouse.move(box["x"] + 60, box["y"] + 80, steps=4)
    page.mouse.up()
    expect(60)


@pytest.mark.parametrize("zoom", [2, 4])
def test_zoom_makes_squares_of_pixels(open_gallery, originals, zoom) -> None:
    page = open_gallery()
    check(page, "zoom", str(zoom))
    seen = shown(page)
    enlarged = originals["a"].repeat(zoom, 0).repeat(zoom, 1)
    assert seen.shape[1] > 450
    # The middle stays in the middle; at 4 the frame shows a part.
    x, y = pan_of(page)
    part = enlarged[y : y + seen.shape[0], x : x + seen.shape[1]]
    assert (seen == part).all()


def pan_of(page) -> tuple[int, int]:
    plane = page.locator(f"{FRAME} .gallery-plane")
    left, top = plane.evaluate("e => [parseInt(e.style.left), parseInt(e.style.top)]")
    return -left, -top


def test_zoomed_picture_moves_by_drag_and_arrow_keys(open_gallery, originals) -> None:
    page = open_gallery(700)
    frame = page.locator(FRAME)
    frame.focus()
    page.keyboard.press("+")
    page.keyboard.press("+")
    assert page.locator('input[name="gallery-zoom"][value="4"]').is_checked()
    x, y = pan_of(page)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowUp")
    assert pan_of(page) == (x + 32, y - 32 if y >= 32 else 0)
    box = frame.bounding_box()
    page.mouse.move(box["x"] + 200, box["y"] + 150)
    page.mouse.down()
    page.mouse.move(box["x"] + 2000, box["y"] + 1500, steps=3)
    page.mouse.up()
    assert pan_of(page) == (0, 0)
    seen = shown(page)
    enlarged = originals["a"].repeat(4, 0).repeat(4, 1)  # a drag does not flip
    assert (seen == enlarged[: seen.shape[0], : seen.shape[1]]).all()


def test_side_by_side_shows_all_and_moves_them_together(open_gallery, originals) -> None:
    page = open_gallery()
    show_view(page, "side")
    frames = page.locator(".gallery-pane:visible .gallery-frame")
    assert frames.count() == 3
    for number, role in enumerate(originals):
        frame = f'.gallery-pane[data-pane="{number}"] .gallery-frame'
        assert (shown(page, frame) == originals[role]).all()
    check(page, "zoom", "4")
    frames.nth(1).press("ArrowRight")
    lefts = page.evaluate(
        "() => [...document.querySelectorAll('.gallery-plane')].map((e) => e.style.left)"
    )
    assert len(set(lefts)) == 1


def test_overlays_are_laid_over_and_have_an_opacity(open_gallery, originals) -> None:
    page = open_gallery()
    frame = page.locator(FRAME)
    pictures = [shown(page)]
    frame.press("m")
    pictures.append(shown(page))
    page.get_by_label("Opacity").fill("20")
    pictures.append(shown(page))
    frame.press("m")
    pictures.append(shown(page))
    assert (pictures[3] == pictures[0]).all()
    difference = [np.abs(each.astype(int) - pictures[0]).mean() for each in pictures]
    assert 0 < difference[2] < difference[1]
    page.get_by_label("Error map").check()
    assert page.locator("#gallery-error-legend").is_visible()
    errors = {role: show_and_read(page, key) for role, key in (("a", "2"), ("b", "3"))}
    assert np.abs(errors["a"].astype(int) - originals["a"]).mean() > 1
    # The reference has no error map.
    assert (show_and_read(page, "1") == originals["reference"]).all()


def show_and_read(page, key: str) -> np.ndarray:
    page.locator(FRAME).press(key)
    return shown(page)


def test_hostile_names_and_texts_are_only_text(open_gallery) -> None:
    page = open_gallery()
    page.locator('.gallery-list button[data-item="2"]').click()
    text = page.locator('.gallery-text[data-item="2"]')
    assert HOSTILE_TEXT in text.text_content() and HOSTILE_NAME in text.text_content()
    page.wait_for_function(
        "() => document.querySelector('.gallery-plane img')?.alt.includes('<img src=x')"
    )
    assert page.locator("#gallery b:text('bold'), #gallery img[src=x]").count() == 0


def test_worst_cell_is_compared_with_its_reference(open_gallery, gallery_sweep) -> None:
    page = open_gallery()
    page.locator(FRAME).press("n")
    page.wait_for_function("() => document.querySelector('.gallery-plane').children.length === 3")
    made = decode_image((gallery_sweep / f"decoded/webp/{HOSTILE_NAME}-q05.webp").read_bytes())
    original = decode_image((gallery_sweep / f"originals/{HOSTILE_NAME}.png").read_bytes())
    assert (shown(page) == made).all()
    page.locator(FRAME).press(" ")
    assert (shown(page) == original).all()
    page.locator(FRAME).press("3")  # there is no B
    assert (shown(page) == original).all()
    assert not page.locator('input[name="gallery-pair"]').first.is_visible()


def test_item_without_pictures_says_why(open_gallery) -> None:
    page = open_gallery()
    page.locator('.gallery-list button[data-item="3"]').click()
    assert (
        "originals/gone.png" in page.locator('.gallery-text[data-item="3"] .missing').inner_text()
    )
    assert not page.locator(".gallery-stage").is_visible()
    assert page.locator('.gallery-facts[data-item="3"] table').is_visible()
    page.locator('.gallery-list button[data-item="1"]').click()
    assert page.locator(".gallery-stage").is_visible()


def test_keyboard_alone_reaches_everything(open_gallery) -> None:
    page = open_gallery()
    page.locator(".gallery-list button").first.focus()
    seen = []
    for _ in range(24):
        page.keyboard.press("Tab")
        seen.append(
            page.evaluate(
                "() => { const e = document.activeElement;"
                " return e.name || e.id || e.className || e.tagName; }"
            )
        )
    expected = ["gallery-view", "gallery-zoom", "gallery-pair", "gallery-error", "gallery-mask"]
    expected += ["gallery-opacity", "gallery-role", "gallery-frame"]
    reached = [name for name in seen if name in expected]
    assert reached[: len(expected)] == expected
    page.locator('input[name="gallery-view"][value="flip"]').focus()
    page.keyboard.press("ArrowRight")
    assert page.get_by_label("Position of the slider").is_visible()


def test_better_numbers_are_marked_in_words(open_gallery) -> None:
    page = open_gallery()
    row = page.locator('.gallery-facts[data-item="1"] tr', has_text="LPIPS").first
    cells = [" ".join(cell.split()) for cell in row.locator("td").all_text_contents()]
    assert re.fullmatch(r"0\.\d{4}", cells[0]) and re.fullmatch(r"✓ 0\.\d{4}, better", cells[1])
    assert float(cells[0]) > float(cells[1][2:8])


@pytest.mark.parametrize("view", ["flip", "slider", "side"])
def test_phone_shows_all_without_sideways_scroll_and_keeps_aspect_ratios(
    open_gallery, whole_page, view
) -> None:
    page = open_gallery(390, whole_page)
    show_view(page, view)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    ratios = page.evaluate(
        f"() => {PICTURES}.map((e) => (e.offsetWidth / e.offsetHeight)"
        " / (e.naturalWidth / e.naturalHeight))"
    )
    assert len(ratios) >= 4
    assert ratios == pytest.approx([1] * len(ratios), abs=0.02)


@pytest.mark.parametrize(
    ("view", "scheme"), [("flip", "light"), ("slider", "dark"), ("side", "light")]
)
def test_accessibility_checker_finds_nothing(open_gallery, whole_page, view, scheme) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = open_gallery(document=whole_page, color_scheme=scheme)
    show_view(page, view)
    page.get_by_label("Error map").check()
    result = axe.run(page, context="#gallery")
    assert not result.response["violations"], result.generate_report()


def test_screen_of_more_pixels_is_mentioned(open_gallery) -> None:
    page = open_gallery(device_scale_factor=2)
    assert (
        "2 \N{MULTIPLICATION SIGN} 2 screen pixels" in page.locator("#gallery-ratio").inner_text()
    )
