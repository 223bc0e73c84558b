"""The page of a decision as a document: what it says, and that texts stay texts."""

import json
import re
from html import unescape
from pathlib import Path

import numpy as np
import pytest

import roi_ray
from roi_ray.decision.decide import decide
from roi_ray.report.page.cells import MAX_ROWS
from roi_ray.report.page.data import MAX_IMAGES, build_data
from roi_ray.report.page.page import mark_code, to_script_json, write_page
from tests.report.score_tables import write_scores

IMAGES = [f"photos/{number:02}.png" for number in range(8)]
HOSTILE = [
    "jpeg",
    "</script><script>window.attacked = 1</script>",
    "<img src=x onerror='window.attacked = 1'>",
    "\"quotes\" & 'quotes' {{ 7 * 7 }} %{x}",
    "\N{SMILING FACE WITH SUNGLASSES} \u202eright to left\u2028",
    "l" + "o" * 198 + "ng",
]


def page_of(uri: str, **options) -> str:
    return write_page(decide(uri, resamples=100, model=None, **options)).decode()


def data_of(page: str, name: str = "page-data") -> dict[str, object]:
    """Return the numbers that the scripts of a page read."""
    found = re.search(f'<script type="application/json" id="{name}">(.*?)</script>', page, re.S)
    assert found
    return json.loads(found[1])


def text_of(page: str) -> str:
    """Return what a page says, without its scripts and styles."""
    body = re.sub(r"<(script|style)\b.*?</\1>", "", page, flags=re.S)
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]*>", " ", body)))


def test_page_says_winner_and_shows_its_numbers(tmp_path) -> None:
    uri = write_scores(tmp_path, ["jpeg", "webp", "avif"], IMAGES)
    decision = decide(uri, resamples=100, model=None)
    page = write_page(decision).decode()
    mean = decision.savings["avif", decision.metrics[0]].mean
    assert mean.value == pytest.approx(100 * (0.81 - 1), abs=5)
    assert f"avif needs {abs(mean.value):.1f} % fewer bits than jpeg" in text_of(page)
    assert [codec["name"] for codec in data_of(page)["codecs"]] == ["avif", "webp", "jpeg"]


def test_curves_of_one_image_have_the_unit_of_the_mean(tmp_path) -> None:
    data = build_data(decide(write_scores(tmp_path, ["jpeg", "webp"], IMAGES), model=None))
    units = {metric["name"]: metric["unit"] for metric in data["metrics"]}
    assert (units["psnr"], units["ms_ssim"], units["roi_ms_ssim"]) == ("dB", "dB", "")
    for metric in units:
        single = np.array(data["single"]["values"][metric])  # codecs, images, points
        mean = [curve["values"] for curve in data["curves"][metric]]
        assert single.mean(1) == pytest.approx(np.array(mean), rel=1e-4)


def test_page_needs_nothing_from_elsewhere(tmp_path) -> None:
    page = page_of(write_scores(tmp_path, ["jpeg", "webp"], IMAGES))
    markup = re.sub(r"<script\b.*?</script>", "", page, flags=re.S)
    assert not re.findall(r"""(?:src|href)=["'](?!#|data:)""", markup)
    assert "url(" not in markup and "@import" not in markup
    assert len(page) < 15_000_000


def test_hostile_texts_stay_texts(tmp_path) -> None:
    error = "</script><b>cut off</b>"
    images = [f"</td><script>window.attacked = 1</script>{number}" for number in range(7)]
    uri = write_scores(tmp_path, HOSTILE, images, failed=3, error=error)
    page = page_of(uri)
    assert "<script>window.attacked" not in page
    assert "<img src=x" not in page
    names = {codec["name"] for codec in data_of(page)["codecs"]}
    assert names == set(HOSTILE)
    assert set(data_of(page, "cell-data")["rows"]["error"]) == {None, error}
    assert page.count("<script") == page.count("</script>")


def test_numbers_that_are_not_valid_are_words_with_reasons(tmp_path) -> None:
    page = page_of(write_scores(tmp_path, ["jpeg", "webp"], IMAGES, points=3))
    text = text_of(page)
    assert "No codec can be compared with jpeg" in text
    assert "not valid" in text
    assert "fewer than 4 points" in text
    for savings in data_of(page)["savings"].values():
        for saving in filter(None, savings):
            assert saving["mean"] is None and set(saving["perImage"]) == {None}
    for note in re.findall(r'href="#(note-\d+)"', page):
        assert f'id="{note}"' in page


@pytest.mark.parametrize(
    ("codecs", "images", "metrics"),
    [
        (["jpeg"], IMAGES, ["psnr"]),
        (["jpeg", "webp"], IMAGES[:1], ["psnr", "roi_psnr"]),
        (["jpeg", "webp"], IMAGES, ["roi_ms_ssim"]),
        ([f"codec{n:02}" for n in range(30)], IMAGES, ["lpips"]),
    ],
    ids=["one codec", "one image", "only a region", "30 codecs"],
)
def test_page_of_unusual_sweeps(tmp_path, codecs, images, metrics) -> None:
    page = page_of(write_scores(tmp_path, codecs, images, metrics))
    assert not re.findall(r"\b(?:None|nan|NaN|inf)\b", text_of(page))
    assert len(data_of(page)["codecs"]) == len(codecs)


def test_parts_without_data_say_why(tmp_path) -> None:
    text = text_of(page_of(write_scores(tmp_path, ["jpeg", "webp"], IMAGES, ["psnr"])))
    assert "no metrics of a region of interest" in text
    assert "No preference is predicted: No preference model was asked for." in text
    assert "There are no times" in text
    assert "This page was written without pictures." in text
    assert "no record of their run" in text


def test_many_images_are_thinned_out_and_the_page_says_so(tmp_path) -> None:
    images = [f"{number}.png" for number in range(MAX_IMAGES + 50)]
    decision = decide(write_scores(tmp_path, ["jpeg", "webp"], images), resamples=20, model=None)
    page = write_page(decision).decode()
    data = data_of(page)
    assert len(data["images"]) == MAX_IMAGES
    assert f"{MAX_IMAGES} of {len(images)} images" in data["imageNote"]
    differences = np.abs(decision.savings["webp", decision.metrics[0]].per_image)
    shown = [images.index(name) for name in data["images"]]
    assert differences[shown].min() >= np.delete(differences, shown).max()
    cells = data_of(page, "cell-data")
    assert len(cells["rows"]["codec"]) == MAX_ROWS
    assert f"{MAX_ROWS:,} of {12 * len(images):,} cells" in cells["rowNote"]


def test_failed_cells_come_first(tmp_path) -> None:
    uri = write_scores(tmp_path, ["jpeg", "webp"], IMAGES, failed=5)
    rows = data_of(page_of(uri), "cell-data")["rows"]
    assert rows["error_kind"][:6] == ["ImageReadError"] * 5 + [None]


def test_data_has_no_number_that_json_lacks(tmp_path) -> None:
    uri = write_scores(tmp_path, ["jpeg", "webp"], IMAGES, failed=9)
    json.dumps(build_data(decide(uri, resamples=20, model=None)), allow_nan=False)


def test_json_cannot_end_its_script() -> None:
    value = {"</script>": "<!-- & \u2028"}
    text = to_script_json(value)
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text) == value


def test_code_in_sentences_is_marked_and_escaped() -> None:
    assert mark_code("run `a <b>` & go") == "run <code>a &lt;b&gt;</code> &amp; go"
    assert mark_code("one ` only") == "one ` only"


def test_package_has_every_file_of_the_page() -> None:
    folder = Path(roi_ray.__file__).parent / "report" / "page" / "assets"
    template = (folder / "page.html").read_text()
    for name in re.findall(r'include "([\w.]+)"(?! ignore)', template):
        assert (folder / name).is_file()
