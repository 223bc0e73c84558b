"""The page of a decision in a real browser."""

import csv
import io
from pathlib import Path

import pytest

from roi_ray.decision.decide import decide
from roi_ray.report.page.page import write_page
from tests.report.score_tables import write_scores

IMAGES = [f"photos/{number:02}.png" for number in range(8)]
CODECS = ["jpeg", "webp", "avif"]
LINES = "#curve-psnr .scatterlayer .trace .js-line"
# The browser reports which elements are in view after the next frame.
SCROLL = """y => new Promise((done) => {
    scrollTo({top: y, behavior: "instant"});
    requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done)));
})"""


def write_example(folder: Path, codecs=CODECS, images=IMAGES, **options) -> bytes:
    uri = write_scores(folder, codecs, images, **options)
    return write_page(decide(uri, resamples=100))


@pytest.fixture(scope="module")
def document(tmp_path_factory) -> bytes:
    """Three codecs and eight images, with all parts of the page but the gallery."""
    return write_example(
        tmp_path_factory.mktemp("scores"),
        metrics=("psnr", "ms_ssim", "lpips", "roi_psnr", "roi_ms_ssim", "roi_lpips"),
        failed=4,
        width=512,
        height=512,
        encode_seconds=0.1,
        decode_seconds=0.02,
    )


def scroll_through(page) -> None:
    """Show every part once, such that everything is drawn."""
    # What is less than 200 pixels outside of the window, which is 900 high, is drawn too.
    for y in range(0, page.evaluate("document.documentElement.scrollHeight"), 1000):
        page.evaluate(SCROLL, y)
    page.wait_for_selector("#cell-table[data-ready]")


def lines_of(page) -> list[str]:
    """Return the paths of the lines in the chart of PSNR, with the band of each curve."""
    return page.locator(LINES).evaluate_all("lines => lines.map(line => line.getAttribute('d'))")


def wait_for_change(page, before: list[str]) -> list[str]:
    page.wait_for_function(
        "([selector, before]) => JSON.stringify([...document.querySelectorAll(selector)]"
        ".map(line => line.getAttribute('d'))) !== JSON.stringify(before)",
        arg=[LINES, before],
    )
    return lines_of(page)


def open_curves(open_page, document, **options) -> object:
    page = open_page(document, **options)
    page.locator("#curve-psnr").scroll_into_view_if_needed()
    page.wait_for_selector(LINES)
    return page


def test_every_chart_is_drawn(open_page, document) -> None:
    page = open_page(document)
    scroll_through(page)
    charts = page.locator(".chart")
    assert charts.count() >= 10
    for number in range(charts.count()):
        chart = charts.nth(number)
        chart.scroll_into_view_if_needed()
        name = chart.get_attribute("id")
        marks = f"#{name} .scatterlayer path, #{name} .boxlayer path"
        page.wait_for_selector(marks, state="attached")
        assert chart.get_attribute("aria-labelledby")


def test_checkbox_hides_a_codec_and_buttons_hide_and_show_all(open_page, document) -> None:
    page = open_curves(open_page, document)
    everything = lines_of(page)
    page.get_by_label("webp", exact=True).uncheck()
    assert len(wait_for_change(page, everything)) < len(everything)
    page.get_by_role("button", name="No codecs").click()
    page.wait_for_function("s => !document.querySelector(s)", arg=LINES)
    page.get_by_role("button", name="All codecs").click()
    page.wait_for_selector(LINES)
    assert wait_for_change(page, []) == everything
    assert page.get_by_label("webp", exact=True).is_checked()


def test_single_image_replaces_the_mean(open_page, document) -> None:
    page = open_curves(open_page, document)
    mean = lines_of(page)
    page.locator("#curve-image").select_option(label="03.png")
    single = wait_for_change(page, mean)
    assert 0 < len(single) < len(mean)  # a single image has no interval
    page.locator("#curve-image").select_option(label="the mean of all images")
    assert wait_for_change(page, single) == mean


def test_metric_of_the_details_changes_table_and_chart(open_page, document) -> None:
    page = open_page(document)
    page.locator("#distribution-chart").scroll_into_view_if_needed()
    title = page.locator("#distribution-chart .xtitle")
    page.wait_for_selector("#distribution-chart .boxlayer path", state="attached")
    page.locator("#detail-metric").select_option("roi_lpips")
    page.wait_for_function(
        "() => document.querySelector('#distribution-chart .xtitle').textContent.includes('LPIPS')"
    )
    assert "LPIPS (ROI)" in title.text_content()
    assert page.locator(".detail:visible caption").text_content().endswith("by LPIPS (ROI)")


def test_scatter_shows_the_chosen_metrics(open_page, document) -> None:
    page = open_page(document)
    page.locator("#scatter-chart").scroll_into_view_if_needed()
    page.wait_for_selector("#scatter-chart .ytitle")
    page.locator("#scatter-y").select_option("lpips")
    page.wait_for_function(
        "() => document.querySelector('#scatter-chart .ytitle').textContent === 'LPIPS'"
    )
    assert "cells" in page.locator("#scatter-text").text_content()


def test_images_are_sorted_by_a_column(open_page, document) -> None:
    page = open_page(document)
    column = page.locator("#image-table tbody td:nth-child(2)")

    def values() -> list[float]:
        return [
            float(text.replace("\N{MINUS SIGN}", "-").rstrip("%\u202f"))
            for text in column.all_text_contents()
            if text != "not valid"
        ]

    heading = page.locator("#image-table thead").get_by_role("button", name="avif")
    heading.click()
    assert values() == sorted(values()) and len(values()) == len(IMAGES) - 1
    heading.click()
    assert values() == sorted(values(), reverse=True)
    assert page.locator("#image-table th[aria-sort=descending]").text_content() == "avif"


def open_cells(open_page, document) -> object:
    page = open_page(document)
    page.locator("#cell-filters").scroll_into_view_if_needed()
    page.wait_for_selector("#cell-table[data-ready]")
    return page


def test_filters_of_the_cells_and_the_csv_of_what_they_leave(open_page, document) -> None:
    page = open_cells(open_page, document)
    count = page.locator("#cell-count")
    assert count.text_content() == "144 of 144 cells pass the filters."
    page.locator("#cell-state").select_option("failed")
    assert count.text_content() == "4 of 144 cells pass the filters."
    assert "ImageReadError" in page.locator("#cell-table tbody").text_content()
    page.get_by_role("button", name="Clear").click()
    page.locator("#cell-codec").select_option(label="webp")
    page.locator("#cell-text").fill("05.png")
    assert count.text_content() == "6 of 144 cells pass the filters."
    page.locator("#cell-column").select_option("psnr")
    page.locator("#cell-low").fill("30")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download CSV").click()
    rows = list(csv.DictReader(io.StringIO(Path(download.value.path()).read_text())))
    assert f"{len(rows)} of 144" in count.text_content()
    assert 0 < len(rows) < 6
    assert {(row["codec"], row["image"]) for row in rows} == {("webp", "05.png")}
    assert all(float(row["psnr"]) >= 30 and not row["error"] for row in rows)


def test_hostile_texts_run_nothing_and_survive_the_csv(open_page, tmp_path) -> None:
    codecs = ["jpeg", "<img src=x onerror='window.attacked=1'>", "l" + "o" * 198 + "ng"]
    images = [f"</td><script>window.attacked=1</script>{n}" for n in range(7)]
    error = '</script><b>"cut"\noff</b>, =1+1'
    document = write_example(tmp_path, codecs, images, failed=2, error=error)
    page = open_page(document, width=390)
    scroll_through(page)
    page.locator("#curve-image").select_option("1")
    assert not page.evaluate("window.attacked")
    assert page.locator("main img").count() == 0
    assert codecs[1] in page.locator("#codec-boxes").text_content()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.locator("#cell-state").select_option("failed")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download CSV").click()
    rows = list(csv.DictReader(io.StringIO(Path(download.value.path()).read_text(), newline="")))
    assert [row["error"] for row in rows] == [error, error]


def test_keyboard_alone_reaches_and_operates_everything(open_page, document) -> None:
    page = open_cells(open_page, document)
    page.evaluate("scrollTo(0, 0)")
    reached = set()
    for _ in range(400):
        page.keyboard.press("Tab")
        name = page.evaluate(
            "() => { const e = document.activeElement; return e === document.body ? null :"
            " e.id || e.getAttribute('href') || e.getAttribute('aria-label')"
            " || e.value || e.textContent.trim(); }"
        )
        if name is None:
            break
        reached.add(name)
    wanted = page.evaluate(
        "() => [...document.querySelectorAll('main select, main input, main button, main a,"
        ' main [tabindex="0"]\')].filter(e => e.checkVisibility() && !e.disabled'
        " && e.tabIndex >= 0)"
        ".map(e => e.id || e.getAttribute('href') || e.getAttribute('aria-label') || e.value"
        " || e.textContent.trim()).filter(Boolean)"
    )
    assert len(wanted) > 30
    assert [name for name in wanted if name not in reached] == []

    page.locator(".skip").focus()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.locator("#curve-psnr").scroll_into_view_if_needed()
    page.wait_for_selector(LINES)
    before = lines_of(page)
    page.get_by_label("webp", exact=True).focus()
    page.keyboard.press("Space")
    hidden = wait_for_change(page, before)
    page.locator("#curve-image").focus()
    page.keyboard.press("ArrowDown")
    wait_for_change(page, hidden)
    page.locator("#cell-table thead").get_by_role("button").nth(3).focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("#cell-table th[aria-sort]")


def test_reason_of_a_missing_number_shows_on_focus_and_escape_hides_it(open_page, tmp_path) -> None:
    page = open_page(write_example(tmp_path, points=3))
    tip = page.locator("#tip")
    assert tip.is_hidden()
    reason = page.locator("a.reason").first
    reason.focus()
    assert "fewer than 4 points" in tip.text_content() and tip.is_visible()
    page.keyboard.press("Escape")
    assert tip.is_hidden()
    note = page.locator(f"[id='{reason.get_attribute('aria-describedby')}']")
    assert "fewer than 4 points" in note.text_content()
    reason.press("Enter")
    assert page.evaluate("location.hash").startswith("#note-")


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_page_fits_the_window_and_axe_finds_nothing_serious(
    open_page, document, width, scheme
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page = open_page(document, width=width, color_scheme=scheme)
    scroll_through(page)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    for name in ("distribution-chart", "curve-psnr", "curve-roi_psnr", "scatter-chart"):
        chart, drawing = page.locator(f"#{name}"), page.locator(f"#{name} .main-svg").first
        outer, inner = chart.bounding_box(), drawing.bounding_box()
        assert abs(outer["width"] - inner["width"]) < 2, name
        assert outer["width"] <= width and inner["height"] > 100
    full, region = (page.locator(f"#curve-{n}").bounding_box() for n in ("psnr", "roi_psnr"))
    side_by_side = abs(full["y"] - region["y"]) < 2
    assert side_by_side == (width > 700)
    violations = axe.Axe().run(page).response["violations"]
    assert [v["id"] for v in violations if v["impact"] in ("serious", "critical")] == []


def test_theme_follows_the_system_and_the_switch(open_page, document) -> None:
    page = open_curves(open_page, document, color_scheme="dark")
    colour = "() => getComputedStyle(document.body).backgroundColor"
    stroke = f"() => document.querySelector('{LINES}').style.stroke"
    dark, dark_line = page.evaluate(colour), page.evaluate(stroke)
    page.locator("#theme").select_option("light")
    page.wait_for_function(f"before => ({stroke})() !== before", arg=dark_line)
    assert page.evaluate(colour) == "rgb(255, 255, 255)" != dark
    page.reload()
    assert page.evaluate(colour) == "rgb(255, 255, 255)"


def test_nothing_moves_where_motion_is_not_wanted(open_page, document) -> None:
    page = open_curves(open_page, document, reduced_motion="reduce")
    assert page.evaluate("getComputedStyle(document.documentElement).scrollBehavior") == "auto"
    moving = "() => document.getAnimations().length"
    page.get_by_label("webp", exact=True).uncheck()
    page.locator("#theme").select_option("dark")
    assert page.evaluate(moving) == 0


def test_print_has_charts_that_were_never_in_view(open_page, document) -> None:
    page = open_page(document)
    drawn = page.locator(".chart .main-svg .cartesianlayer")
    assert drawn.count() < page.locator(".chart").count()
    assert page.pdf()
    assert drawn.count() == page.locator(".chart").count()


@pytest.mark.parametrize(
    ("codecs", "images", "options"),
    [
        (["jpeg"], IMAGES, {"metrics": ("psnr",)}),
        (["jpeg", "webp"], IMAGES[:1], {"points": 2}),
        ([f"a codec, number {number:02}" for number in range(30)], IMAGES, {}),
    ],
    ids=["one codec", "nothing valid", "30 codecs"],
)
def test_unusual_sweeps(open_page, tmp_path, codecs, images, options) -> None:
    page = open_page(write_example(tmp_path, codecs, images, **options), width=390)
    scroll_through(page)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert page.locator("#codec-boxes input").count() == len(codecs)
    keys = page.locator("#codec-boxes svg").evaluate_all("keys => keys.map(key => key.innerHTML)")
    assert len(set(keys)) == len(codecs)
