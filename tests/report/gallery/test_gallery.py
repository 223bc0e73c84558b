"""The pictures of a report: which files are read, and what the page gets of them."""

import base64
import json
import re
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest

from roi_ray.decision.highlights.choose import Highlight
from roi_ray.decision.score_table import SweepScores
from roi_ray.decision.sweep_scores import read_sweep_scores
from roi_ray.imaging.decode import decode_image, decode_rgba
from roi_ray.io import storage
from roi_ray.report.gallery.error_map import measure_difference
from roi_ray.report.gallery.gallery import make_gallery
from roi_ray.report.gallery.items import Gallery
from roi_ray.report.gallery.metrics import compare_metrics
from roi_ray.report.gallery.pictures import CROP_SIDES
from tests.conftest import encode, jpeg, write
from tests.report.conftest import HOSTILE_NAME
from tests.s3_server import BUCKET

HOSTILE_TEXT = "</script><script>throw Error('hostile')</script> & \u2028"


@pytest.fixture(scope="module")
def scores(gallery_sweep) -> SweepScores:
    return read_sweep_scores(str(gallery_sweep / "scores"))


def highlight(scores: SweepScores, name: str, *cells: tuple[str, int], text="why") -> Highlight:
    """A highlight of one or two cells, each a codec and the number of its point."""
    (image,) = [number for number, each in enumerate(scores.images) if name in each]
    rows = tuple(int(scores.codecs[codec].rows[image, point]) for codec, point in cells)
    kind = "worst" if len(rows) == 1 else "difference"
    return Highlight(kind, text, scores.images[image], rows)


def pixels(gallery: Gallery, item: int, role: str, decode=decode_image) -> np.ndarray:
    return decode(base64.b64decode(gallery.pictures[dict(gallery.items[item].pictures)[role]]))


@pytest.fixture(scope="module")
def gallery(scores) -> Gallery:
    return make_gallery(
        scores,
        [
            highlight(scores, "chelsea", ("jpeg", 0), ("webp", 2)),
            highlight(scores, HOSTILE_NAME, ("webp", 0), text=HOSTILE_TEXT),
            highlight(scores, "astronaut", ("webp", 0), ("jpeg", 1)),
        ],
    )


def test_pictures_are_what_the_codecs_made(gallery, gallery_sweep) -> None:
    item = gallery.items[0]
    assert item.problem is None and gallery.advice is None
    assert item.size == (240, 160)
    assert (item.crop.width, item.crop.height) == (240, 160)
    folder = gallery_sweep
    for role, file in (
        ("reference", "originals/chelsea.png"),
        ("a", "decoded/jpeg/chelsea-q10.jpg"),
        ("b", "decoded/webp/chelsea-q90.webp"),
    ):
        whole = decode_image((folder / file).read_bytes())
        assert (pixels(gallery, 0, role) == whole[item.crop.slices]).all()


def test_sides_and_numbers_are_those_of_the_scores(gallery, scores) -> None:
    item = gallery.items[0]
    assert [side.name for side in item.sides] == ["jpeg, quality 10", "webp, quality 90"]
    rows = scores.read_rows(highlight(scores, "chelsea", ("jpeg", 0), ("webp", 2)).rows)
    assert [side.bits for side in item.sides] == [f"{row['bpp']:.3f}" for row in rows]
    metrics = {row.label: row for row in item.metrics}
    assert metrics["PSNR"].values == tuple(f"{row['psnr']:.2f} dB" for row in rows)
    # WebP at quality 90 is better by all metrics, whichever direction they have.
    assert {metrics[name].better for name in ("PSNR", "MS-SSIM", "LPIPS")} == {1}
    assert metrics["LPIPS"].direction == "lower" and metrics["PSNR"].direction == "higher"


def test_numbers_keep_digits_and_only_visible_differences_are_marked() -> None:
    rows = [
        {"psnr": 30.001, "roi_lpips": 0.00018, "d_loss": 1.2, "roi_psnr": None},
        {"psnr": 30.004, "roi_lpips": 0.000251, "d_loss": 1.0, "roi_psnr": 40.0},
    ]
    found = compare_metrics(rows, ["psnr", "roi_lpips", "d_loss", "roi_psnr"])
    assert [row.values for row in found] == [
        ("30.00 dB", "30.00 dB"),
        ("0.00018", "0.000251"),
        ("1.200 nat", "1.000 nat"),
        ("\N{EN DASH}", "40.00 dB"),
    ]
    assert [row.better for row in found] == [None, 0, 1, None]


def test_worst_cell_stands_alone(gallery) -> None:
    item = gallery.items[1]
    assert {role for role, _ in item.pictures} == {"reference", "a", "error_a", "mask"}
    assert all(len(row.values) == 1 and row.better is None for row in item.metrics)


def test_error_maps_share_a_scale_and_are_clear_where_nothing_is_seen(gallery) -> None:
    scale = gallery.items[0].scale
    for role in "ab":
        x, y = pixels(gallery, 0, "reference"), pixels(gallery, 0, role)
        alpha = pixels(gallery, 0, f"error_{role}", decode_rgba)[..., 3]
        differences = measure_difference(x, y)
        assert not alpha[differences < scale / 50].any()
        assert (alpha[differences > scale] > 200).all()
    assert (pixels(gallery, 0, "error_a", decode_rgba)[..., 3] > 0).mean() > 0.5


def test_mask_is_the_rows_own_or_the_networks(gallery, scores) -> None:
    assert gallery.items[2].mask == "the file masks/astronaut.png"
    alpha = pixels(gallery, 2, "mask", decode_rgba)[..., 3]
    assert (alpha[30:80, 40:190] > 0).all() and not alpha[100:].any()
    assert gallery.items[2].mask_mean == pytest.approx(70 * 170 / (160 * 240), abs=1e-3)
    assert gallery.items[0].mask == "the saliency network saliency-lite0"
    row = scores.read_rows(highlight(scores, "chelsea", ("jpeg", 0)).rows)[0]
    assert gallery.items[0].mask_mean == pytest.approx(row["roi_fraction"], abs=0.004)


def test_masks_that_cannot_be_made_again_are_explained(scores, monkeypatch) -> None:
    chosen = [highlight(scores, "chelsea", ("jpeg", 0), ("webp", 2))]
    for run, reason in (
        (None, "do not say which network"),
        (with_saliency(scores.run, "other.pth", "0" * 64), "other.pth, which is not packaged"),
        (with_saliency(scores.run, "saliency-lite0.safetensors", "0" * 64), "another version"),
    ):
        monkeypatch.setattr(scores, "run", run)
        item = make_gallery(scores, chosen).items[0]
        assert item.mask is None and reason in item.mask_problem
        assert {role for role, _ in item.pictures} == {"reference", "a", "b", "error_a", "error_b"}


def with_saliency(run, name, sha256):
    changed = json.loads(json.dumps(run))
    changed["config"]["weights"]["saliency"] = [{"name": name, "sha256": sha256}]
    return changed


def test_files_outside_the_manifests_folder_are_not_opened(scores, tmp_path) -> None:
    chosen = [highlight(scores, "chelsea", ("jpeg", 0), ("webp", 2))]
    elsewhere = make_gallery(scores, chosen, base=str(tmp_path))
    assert not elsewhere.pictures and "not below" not in elsewhere.advice
    scores_elsewhere = read_sweep_scores(scores.uri)
    scores_elsewhere.base = str(tmp_path)
    absolute = Highlight("worst", "why", f"{scores.base}/originals/chelsea.png", chosen[0].rows[:1])
    refused = make_gallery(scores_elsewhere, [absolute])
    assert not refused.pictures and "--allow-prefix" in refused.advice
    assert "not below" in refused.items[0].problem and refused.items[0].problem.endswith(".")


@pytest.mark.parametrize("fault", ["missing", "changed", "truncated", "resized", "too large"])
def test_unreadable_file_fails_its_item_alone(gallery_sweep, photos, tmp_path, fault) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(gallery_sweep, folder)
    scores = read_sweep_scores(str(folder / "scores"))
    scores.base = str(folder)
    file = folder / "decoded/jpeg/chelsea-q10.jpg"
    other, limit = photos["coffee"], 1 << 26
    if fault == "missing":
        file.unlink()
    elif fault == "changed":
        file.write_bytes(encode(jpeg(other[40:200, 60:300], 50)))
    elif fault == "truncated":
        file.write_bytes(file.read_bytes()[:200])
    elif fault == "resized":
        file.write_bytes(encode(other[:50, :60]))
    else:
        file.write_bytes(encode(np.zeros((300, 300, 3), np.uint8)))
        limit = 160 * 240
    gallery = make_gallery(
        scores,
        [
            highlight(scores, "chelsea", ("jpeg", 0), ("webp", 2)),
            highlight(scores, "astronaut", ("jpeg", 0), ("webp", 2)),
        ],
        max_pixels=limit,
    )
    reason = {
        "missing": "does not exist|No such file|not found",
        "changed": "has changed since it was scored",
        "truncated": "",
        "resized": "60 x 50, but the reference is 240 x 160",
        "too large": "--max-pixels",
    }[fault]
    first, second = gallery.items
    assert "decoded/jpeg/chelsea-q10.jpg" in first.problem and re.search(reason, first.problem)
    assert not first.pictures and first.metrics
    assert second.problem is None and second.pictures and gallery.advice is None


@pytest.mark.parametrize("budget", [130_000, 1_000_000, 8_000_000])
def test_pictures_stay_within_the_budget(scores, budget) -> None:
    chosen = [
        highlight(scores, name, ("jpeg", point), ("webp", point))
        for name in ("chelsea", "astronaut", HOSTILE_NAME)
        for point in range(3)
    ]
    gallery = make_gallery(scores, chosen, budget_bytes=budget)
    shown = [item for item in gallery.items if item.pictures]
    assert gallery.size <= budget + 9 * len("data:image/webp;base64,")
    assert len({(item.crop.width, item.crop.height) for item in shown}) == 1
    if budget < 200_000:
        assert 0 < len(shown) < 9
        assert shown == list(gallery.items[: len(shown)])
        assert shown[0].crop.width == shown[0].crop.height == CROP_SIDES[-1]
        assert "budget" in gallery.items[-1].problem and gallery.items[-1].thumbnail
    else:
        assert len(shown) == 9
        assert gallery.size > 0.5 * budget or shown[0].crop.width == 240


def test_small_crop_is_where_the_candidates_differ(scores, gallery_sweep, tmp_path, photos) -> None:
    x = photos["chelsea"][40:200, 60:300]
    blurred = x.copy()
    blurred[100:140, 180:220] = jpeg(x, 3)[100:140, 180:220]
    folder = tmp_path / "sweep"
    write(folder / "x.png", encode(x))
    write(folder / "a.png", encode(x))
    write(folder / "b.png", encode(blurred))
    rows = [
        {"reference": "x.png", "distorted": f"{name}.png", "codec": name, "bpp": 1.0, "psnr": 40.0}
        for name in "ab"
    ]
    import pyarrow as pa

    pq.write_table(pa.Table.from_pylist(rows), folder / "scores.parquet")
    own = read_sweep_scores(str(folder / "scores.parquet"))
    chosen = [Highlight("difference", "why", "x.png", (0, 1))]
    item = make_gallery(own, chosen, base=str(folder), budget_bytes=70_000).items[0]
    assert item.crop.width < 240 and item.sides[0].is_exact and not item.sides[1].is_exact
    assert item.crop.left <= 180 and item.crop.left + item.crop.width >= 220
    assert item.crop.top <= 100 and item.crop.top + item.crop.height >= 140
    pictures = dict(item.pictures)
    assert pictures["a"] == pictures["reference"]


def test_data_cannot_end_its_script_element(gallery) -> None:
    text = str(gallery.data)
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text)["items"][1]["title"] == HOSTILE_NAME


def test_images_on_s3_are_shown(gallery_sweep, s3_in_this_process) -> None:
    uri = f"s3://{BUCKET}/gallery"
    for file in ("originals/chelsea.png", "decoded/jpeg/chelsea-q10.jpg"):
        storage.write_bytes(f"{uri}/{file}", (gallery_sweep / file).read_bytes())
    scores = read_sweep_scores(str(gallery_sweep / "scores"))
    chosen = [highlight(scores, "chelsea", ("jpeg", 0))]
    gallery = make_gallery(scores, chosen, base=uri)
    whole = decode_image((gallery_sweep / "decoded/jpeg/chelsea-q10.jpg").read_bytes())
    assert (pixels(gallery, 0, "a") == whole[gallery.items[0].crop.slices]).all()
