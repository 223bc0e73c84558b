"""From the scores of a real sweep to the page."""

import shutil

import pytest

from roi_ray.errors import UsageError
from roi_ray.io import storage
from roi_ray.pipeline.options import Options
from roi_ray.pipeline.run import score_manifest
from roi_ray.report.write import write_report
from tests.conftest import write_sweep
from tests.s3_server import BUCKET

QUALITIES = {"jpeg": [15, 35, 60, 85, 95], "webp": [1, 20, 50, 80, 97]}
WEBP = "UklGR"
"""How a WebP file begins, "RIFF", in base 64."""


@pytest.fixture(scope="module")
def sweep(tmp_path_factory, photos):
    """A folder with a scored sweep of eight crops of photographs."""
    folder = tmp_path_factory.mktemp("sweep")
    crops = {
        f"{name}-{side}": pixels[:192, side : side + 192]
        for name, pixels in list(photos.items())[:4]
        for side in (0, 100)
    }
    manifest = write_sweep(crops, folder, QUALITIES)
    summary = score_manifest(manifest, str(folder / "scores"), options=Options(engine="local"))
    assert (summary.rows, summary.failed) == (80, 0)
    return folder


def test_page_has_the_decision_and_the_pictures(sweep, tmp_path) -> None:
    decision = write_report(sweep / "scores", tmp_path / "a/report.html", pictures=3)
    page = (tmp_path / "a/report.html").read_text("utf-8")
    assert decision.codecs == ("jpeg", "webp")
    saving = decision.savings["webp", "psnr"]
    assert saving.mean is not None and -60 < saving.mean.value < 0
    assert page.startswith("<!doctype html>") and len(page) < 15_000_000
    assert page.count(WEBP) >= 6


def test_page_without_images_says_what_to_do(sweep, tmp_path) -> None:
    shutil.copytree(sweep / "scores", tmp_path / "scores")
    shutil.move(sweep / "decoded", sweep / "moved")
    try:
        write_report(tmp_path / "scores", tmp_path / "report.html", pictures=2)
    finally:
        shutil.move(sweep / "moved", sweep / "decoded")
    page = (tmp_path / "report.html").read_text("utf-8")
    assert WEBP not in page
    assert "no such file" in page.lower()


def test_scores_and_page_may_be_on_s3(sweep, tmp_path, s3_in_this_process) -> None:
    uri = f"s3://{BUCKET}/report"
    for path in (sweep / "scores").rglob("*"):
        if path.is_file():
            name = path.relative_to(sweep).as_posix()
            storage.write_bytes(storage.join(uri, name), path.read_bytes())
    write_report(f"{uri}/scores", f"{uri}/report.html", pictures=1)
    assert storage.read_bytes(f"{uri}/report.html").startswith(b"<!doctype html>")


def test_output_must_be_named_as_a_page(sweep, tmp_path) -> None:
    with pytest.raises(UsageError, match=r"name it .*/out\.html"):
        write_report(sweep / "scores", tmp_path / "out")
