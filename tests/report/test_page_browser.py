"""The page of a decision in a real browser."""

from pathlib import Path

import pytest

from roi_ray.decision.decide import Decision, decide
from roi_ray.pipeline.run import score_manifest
from roi_ray.report.page import write_page
from tests.conftest import write_sweep

QUALITIES = {"jpeg": [5, 15, 30, 50, 70, 90], "webp": [1, 10, 30, 50, 70, 90]}


@pytest.fixture(scope="module")
def decision(photos, tmp_path_factory) -> Decision:
    """Seven crops of photographs and two codecs, scored."""
    folder: Path = tmp_path_factory.mktemp("sweep")
    crops = {}
    for number, (name, pixels) in enumerate(sorted(photos.items()) * 4):
        if len(crops) < 7:
            left = 64 * (number // len(photos))
            crops[f"{name}-{left}"] = pixels[64:192, left : left + 128]
    manifest = write_sweep(crops, folder, QUALITIES)
    scores = str(folder / "scores")
    score_manifest(manifest, scores)
    return decide(scores, resamples=200)


@pytest.fixture(scope="module")
def document(decision) -> bytes:
    return write_page(decision)


def test_charts_have_lines_and_a_checkbox_removes_a_codec(open_page, document) -> None:
    page = open_page(document)
    page.locator("#curves").scroll_into_view_if_needed()
    lines = page.locator("#curve-psnr .scatterlayer .trace .js-line")
    page.wait_for_selector("#curve-psnr .scatterlayer .trace .js-line")
    before = lines.count()
    assert before >= 2
    page.get_by_label("webp", exact=True).uncheck()
    page.wait_for_function(
        "count => document.querySelectorAll("
        "'#curve-psnr .scatterlayer .trace .js-line').length < count",
        arg=before,
    )
    assert lines.count() >= 1
