"""The command line of `roi-ray bench`, on images small enough to take seconds."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image

import roi_ray
from roi_ray.bench.compare.source import Source
from roi_ray.service.http.api import build_api
from roi_ray.service.options import ServiceOptions
from tests.service.files import open_backend
from tests.web.asgi_server import serving


def test_quick_run_writes_json_and_picture(run, tmp_path) -> None:
    out = tmp_path / "bench"
    small = ("--sizes", "176,200x180", "--per-reference", 2, "--saliency", "packaged")
    result = run("--quick", *small, "--against", "naive", "--output", out)
    assert result.exit_code == 0, result.output
    assert "naive" in result.output
    report = json.loads((out / "bench.json").read_text())
    assert report["ratios"]["2"]["naive"] > 0
    growth = report["growth"]
    assert [(entry["width"], entry["height"]) for entry in growth] == [(176, 176), (200, 180)]
    assert [entry["per_reference"] for entry in growth] == [2, 2]
    assert growth[0]["ratio"] == 1
    assert growth[1]["ms_per_megapixel"] > 0
    assert growth[1]["memory"] == {}  # which takes a job, and --quick leaves it out
    assert report["job"] is None
    assert report["machine"]["threads"] >= 1
    assert report["source"]["version"] == roi_ray.__version__
    assert report["settings"]["per_reference"] == [2]
    with Image.open(out / "bench.png") as picture:
        assert picture.width > 500


@pytest.mark.long
def test_quick_measurement_of_a_service_finds_no_wrong_number(run, tmp_path) -> None:
    out = tmp_path / "bench"
    small = ("--sizes", "96x80", "--per-reference", 4, "--threads", torch.get_num_threads())
    with open_backend() as backend, serving(build_api(backend, ServiceOptions())) as url:
        result = run("--service", "--quick", "--url", url, *small, "--output", out)
    assert result.exit_code == 0, result.output
    assert "the bare scorer" in result.output
    report = json.loads((out / "bench-service.json").read_text())
    loads = report["loads"]
    assert [(load["clients"], load["images"]) for load in loads] == [(1, 1), (4, 4)]
    for load in loads:
        assert (load["wrong"], load["lost"], load["errors"]) == (0, 0, {})
        assert load["pairs_per_s"] > 0
        assert load["ratio"] > 0
    assert loads[0]["requests"] == 16
    assert loads[0]["p99_ms"] >= loads[0]["p50_ms"] > 0
    assert loads[0]["overhead_ms"] is not None
    assert report["soak"] == report["memory"] == []
    with Image.open(out / "bench-service.png") as picture:
        assert picture.width > 500


@pytest.fixture
def slower_tree(tmp_path):
    """Return a tree that takes 150 ms longer for texture."""
    package, copy = Path(roi_ray.__file__).parent, tmp_path / "tree" / "roi_ray"
    copy.mkdir(parents=True)
    for item in package.iterdir():
        if item.name not in ("metrics", "__init__.py"):
            (copy / item.name).symlink_to(item)
    shutil.copy(package / "__init__.py", copy)
    shutil.copytree(package / "metrics", copy / "metrics")
    with (copy / "metrics" / "texture.py").open("a") as file:
        file.write(
            """
def _slow(function):
    import time
    return lambda *arguments: time.sleep(0.15) or function(*arguments)

texture = _slow(texture)
"""
        )
    return copy.parent


@pytest.mark.long
def test_comparison_fails_for_the_piece_that_is_slower_and_for_no_other(
    run, tmp_path, slower_tree, monkeypatch
) -> None:
    monkeypatch.setattr(
        "roi_ray.bench.compare.run.current_source", lambda: Source("today", slower_tree)
    )
    out = tmp_path / "bench"
    before = str(Path(roi_ray.__file__).parents[1])
    small = ("--sizes", "64", "--per-reference", 2, "--rounds", 2, "--tolerance", 3)
    result = run("--compare-source", before, *small, "--output", out)
    assert result.exit_code == 1, result.output
    report = json.loads((out / "bench-compare.json").read_text())
    assert report["slower"] == ["texture", "texture under a mask"]
    assert report["off"] == []
    assert report["missing"] == {}
    assert {"saliency", "lpips", "d_loss", "ssimulacra2"} <= {p["name"] for p in report["pieces"]}
    assert {"ms_ssim", "roi_lpips"} <= {number["column"] for number in report["numbers"]}
    with Image.open(out / "bench-compare.png") as picture:
        assert picture.width > 500


def test_file_without_a_commit_needs_the_source(run, tmp_path) -> None:
    stored = tmp_path / "bench.json"
    stored.write_text(json.dumps({"steps": []}))
    result = run("--compare", stored, "--output", tmp_path)
    assert result.exit_code == 2
    assert "does not say of which commit it was measured" in result.output


def test_unknown_rival_exits_with_2(run, tmp_path) -> None:
    result = run("--against", "nobody", "--output", tmp_path)
    assert result.exit_code == 2
    assert (
        "unknown rival nobody; choose from naive, pytorch_msssim, torchmetrics, pyiqa"
        in result.output
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ("--sizes", "512,"),
        ("--per-reference", "x"),
        ("--sizes", "0"),
        ("--sizes", "160"),
        ("--sizes", "6000x"),
        ("--sizes", "6000x4000x3"),
        ("--sizes", "0MP"),
        ("--sizes", "600x160"),
        ("--images", "no/such/folder"),
        ("--compare-source", "no-such-commit"),
        ("--compare", "no/such/file"),
        ("--scaling", "2,x"),
        ("--scaling", "2", "--service"),
        ("--scaling-ms", "60", "--scaling", "2"),
        ("--output", __file__),
    ],
)
def test_unusable_options_exit_with_2(run, arguments) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert arguments[0] in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--saliency", "packaged", "--compare-source", "main"), "with --compare"),
        # Also if it names the default.
        (("--saliency", "u2netp", "--compare-source", "main"), "with --compare"),
        (("--job-pairs", "96", "--compare-source", "main"), "with --compare"),
        (("--no-ray", "--service"), "with --service"),
        (("--device", "cpu", "--service"), "with --service"),
        (("--threads", "2", "--scaling", "2"), "with --scaling"),
        (("--quick", "--scaling", "2"), "with --scaling"),
        (("--tolerance", "0.2"), "without --compare"),
        (("--minutes", "1"), "without --service"),
        (("--scaling-ms", "60,90"), "without --scaling"),
        (("--rounds", "3", "--quick"), "with --quick"),
        (("--job-pairs", "96", "--no-ray"), "with --no-ray"),
    ],
)
def test_option_without_an_effect_exits_with_2(run, arguments, message) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert f"error: {arguments[0]} has no effect {message}; leave it out" in result.output
