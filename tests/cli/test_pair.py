"""The command line of `roi-ray pair`."""

import json
import re
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

import roi_ray
from roi_ray.imaging.decode import decode_image
from roi_ray.report.pair_preference import format_preference
from roi_ray.schema import optional_metric
from roi_ray.scoring.scorer import Scorer
from roi_ray.settings import Settings
from tests.conftest import deepen, encode, encode_16_bits, needs_x86, run_on_avx2, write


@pytest.fixture(scope="module")
def folder(tmp_path_factory, photos) -> Path:
    folder = tmp_path_factory.mktemp("pair")
    x = photos["coffee"][:96, :120]
    write(folder / "x.png", encode(x))
    write(folder / "low.jpg", encode(x, "JPEG", quality=20))
    write(folder / "high.webp", encode(x, "WEBP", quality=90))
    write(folder / "small.png", encode(x[:50]))
    write(folder / "broken.png", encode(x)[:200])
    mask = np.zeros(x.shape[:2], np.uint8)
    mask[:, :60] = 255
    write(folder / "mask.png", encode(mask))
    write(folder / "small mask.png", encode(mask[:50]))
    write(folder / "mask of 1.png", encode(mask // 255))
    return folder


@pytest.fixture(autouse=True)
def in_folder(folder, monkeypatch) -> None:
    monkeypatch.chdir(folder)


def score(folder, settings=None, mask=None):
    scorer = Scorer(settings, "auto")
    prepared = scorer.prepare(decode_image((folder / "x.png").read_bytes()), mask)
    files = [folder / name for name in ("low.jpg", "high.webp")]
    return scorer.score(prepared, [decode_image(file.read_bytes()) for file in files])


def test_json_has_the_scores_of_the_scorer(run, folder) -> None:
    result = run("x.png", "low.jpg", "high.webp", "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["original"] == "x.png"
    assert document["settings"] == json.loads(json.dumps(asdict(Settings())))
    assert document["weights"] == Scorer().provenance
    for image, scores in zip(document["images"], score(folder), strict=True):
        assert (image.pop("error"), image.pop("error_kind")) == (None, None)
        image.pop("image")
        assert image == pytest.approx(scores.to_dict(), rel=1e-6, abs=1e-6)


def test_metrics_on_request_are_scored(run, folder) -> None:
    result = run("x.png", "low.jpg", "high.webp", "--json", "--metrics", "ssimulacra2")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["settings"]["metrics"] == ["ssimulacra2"]
    low, high = document["images"]
    for name in ("ssimulacra2", "roi_ssimulacra2"):
        assert low[name] < high[name] < 100
    text = run("x.png", "low.jpg", "--metrics", "ssimulacra2").output
    assert f"{low['ssimulacra2']:.2f}"[:4] in text
    assert "ssimulacra2" not in run("x.png", "low.jpg").output


def test_unknown_metric_is_a_usage_error(run) -> None:
    result = run("x.png", "low.jpg", "--metrics", "vmaf")
    assert result.exit_code == 2
    assert "no optional metric is called 'vmaf'; give some of ssimulacra2" in result.output


def test_json_names_the_precision_that_auto_stands_for(run) -> None:
    result = run("x.png", "low.jpg", "--json", "--precision", "auto", "--device", "cpu")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["settings"]["precision"] == "fp32"


PAIR_IN_BF16 = """
import json
from typer.testing import CliRunner
from roi_ray.cli.app import app

command = "pair x.png low.jpg --device cpu --precision bf16".split()
done = [CliRunner().invoke(app, command + more) for more in ([], ["--allow-slow-precision"])]
print(json.dumps([[each.exit_code, each.stdout, each.stderr] for each in done]))
"""


@needs_x86
def test_bf16_on_a_cpu_without_bf16_is_refused_unless_allowed(run) -> None:
    done = run_on_avx2("-c", PAIR_IN_BF16)
    assert (done.returncode, done.stderr) == (0, "")
    refused, allowed = json.loads(done.stdout)
    assert refused[:2] == [2, ""]
    assert refused[2].startswith("error: precision bf16 takes about ")
    assert "give --allow-slow-precision" in refused[2]
    assert (allowed[0], allowed[2]) == (0, "")
    assert "low.jpg" in allowed[1]


def test_images_of_two_bit_depths_are_scored(run, folder) -> None:
    deep = deepen(decode_image((folder / "x.png").read_bytes()), 16)
    write(folder / "x16.png", encode_16_bits(deep))
    result = run("x16.png", "x.png", "--json")
    assert result.exit_code == 0, result.output
    (image,) = json.loads(result.stdout)["images"]
    assert (image["reference_bit_depth"], image["distorted_bit_depth"]) == (16, 8)
    error = deep / 65535 - decode_image((folder / "x.png").read_bytes()) / 255
    assert image["mse"] == pytest.approx((error**2).mean(), rel=1e-9)


def test_table_has_one_line_per_image_in_100_columns(run, folder) -> None:
    result = run("x.png", "low.jpg", "high.webp")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert max(map(len, lines)) <= 100
    for line, scores in zip(lines[2:4], score(folder), strict=True):
        cells = line.split()
        numbers = scores.to_dict()
        names = ("psnr", "ms_ssim", "lpips", "d_loss")
        names = (*names, *(f"roi_{name}" for name in names), "roi_fraction")
        expected = [numbers[name] for name in names]
        assert [float(cell) for cell in cells[:9]] == pytest.approx(expected, abs=6e-3)
    assert [line.split()[9] for line in lines[2:4]] == ["low.jpg", "high.webp"]


def test_long_names_are_not_cut(run, folder, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    name = f"{'n' * 150}.jpg"
    (folder / name).write_bytes((folder / "low.jpg").read_bytes())
    assert name in run("x.png", name).stdout


def test_bad_images_get_error_lines_and_exit_with_3(run) -> None:
    result = run("x.png", "broken.png", "low.jpg", "gone.png", "small.png")
    assert result.exit_code == 3
    lines = result.stdout.splitlines()[2:6]
    assert re.search(r"(- +){9}ImageReadError: broken.png: cannot be decoded", lines[0])
    assert re.fullmatch(r"( *\d+\.\d+){9} +low.jpg", lines[1])
    assert re.search(r"(- +){9}ImageReadError: cannot read .*gone.png", lines[2])
    assert re.search(r"(- +){9}SizeMismatch: small.png: 120 x 50, .* 120 x 96", lines[3])

    result = run("x.png", "gone.png", "low.jpg", "--json")
    assert result.exit_code == 3
    gone, low = json.loads(result.stdout)["images"]
    assert gone["error_kind"] == "ImageReadError" and "gone.png" in gone["error"]
    assert "psnr" not in gone and low["psnr"] > 20


def test_mask_and_weighting_give_the_scores_of_the_scorer(run, folder) -> None:
    mask = np.zeros((96, 120), np.uint8)
    mask[:, :60] = 255
    settings = Settings(roi_weighting="normalised")
    options = ("--mask", "mask.png", "--roi-weighting", "normalised", "--json")
    result = run("x.png", "low.jpg", "high.webp", *options)
    assert result.exit_code == 0, result.output
    images = json.loads(result.stdout)["images"]
    for image, scores in zip(images, score(folder, settings, mask), strict=True):
        assert image["roi_fraction"] == 0.5
        assert image["roi_lpips"] == pytest.approx(scores.roi_lpips, rel=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("gone.png", "low.jpg"), "error: cannot read gone.png"),
        (("broken.png", "low.jpg"), "error: broken.png: cannot be decoded"),
        (("x.png", "low.jpg", "--mask", "small mask.png"), "error: small mask.png: 120 x 50"),
        (
            ("x.png", "low.jpg", "--mask", "mask of 1.png"),
            "error: mask of 1.png: the largest value of the mask is 1, but 255 is inside",
        ),
        (("x.png", "low.jpg", "--mask", "x.png"), "error: x.png: the mask has colours"),
        (("x.png", "low.jpg", "--mask", "gone.png"), "error: cannot read gone.png"),
        (("x.png", "low.jpg", "--max-pixels", "100"), "error: x.png: "),
        (("x.png", "low.jpg", "--device", "tpu"), "error: device 'tpu'"),
        (("x.png", "low.jpg", "--saliency", "gone.pth"), "gone.pth"),
    ],
)
def test_unusable_original_mask_or_option_exits_with_2(run, arguments, message) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not result.stdout


@pytest.mark.parametrize(
    "arguments", ["pair x.png low.jpg", "pair --prefer x.png low.jpg high.webp"], ids=["", "prefer"]
)
def test_pair_does_not_import_ray(folder, arguments) -> None:
    code = "\n".join(
        [
            "import sys",
            "from roi_ray.cli.app import main",
            "try:",
            "    main()",
            "except SystemExit as end:",
            "    print(end.code, 'ray' in sys.modules)",
        ]
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments.split(), "--device", "cpu"],
        capture_output=True,
        text=True,
        cwd=folder,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "0 False"


def test_empty_mask_is_explained_and_its_numbers_are_dashes_or_null(run, folder) -> None:
    write(folder / "black.png", encode(np.zeros((96, 120), np.uint8)))
    result = run("x.png", "low.jpg", "high.webp", "--mask", "black.png")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    for line, scores in zip(lines[2:4], score(folder), strict=True):
        assert re.fullmatch(r"( *\d+\.\d+){4}( +-){4} +0\.0000 +\S+", line)
        assert float(line.split()[0]) == pytest.approx(scores.psnr, abs=6e-3)
    assert "No region of interest: the mask is empty" in lines[-1]
    result = run("x.png", "low.jpg", "--mask", "black.png", "--json")
    (image,) = json.loads(result.stdout)["images"]
    assert image["psnr"] > 20 and image["roi_fraction"] == 0
    assert [name for name, value in image.items() if value is None and "error" not in name] == [
        f"roi_{name}"
        for name in (
            *("mse", "psnr", "mse_y", "mse_cb", "mse_cr", "ms_ssim"),
            *("texture_gained", "texture_lost", "lpips", "d_loss"),
        )
    ]


def test_preferred_image_and_what_decides_are_printed(run, folder) -> None:
    result = run("x.png", "low.jpg", "high.webp", "--prefer")
    assert result.exit_code == 0, result.output
    preference = roi_ray.prefer("x.png", "low.jpg", "high.webp")
    table, text = result.stdout.split("\n\n", 2)[0], result.stdout[result.stdout.index("People") :]
    assert [line.split()[-1] for line in table.splitlines()[2:]] == ["low.jpg", "high.webp"]
    assert text == format_preference(preference, "low.jpg", "high.webp", 80) + "\n"
    assert text.startswith("People prefer B to A ")
    assert max(map(len, text.splitlines())) <= 80
    assert max(map(len, table.splitlines())) <= 100


def test_json_has_the_preference_of_python(run) -> None:
    result = run("x.png", "low.jpg", "high.webp", "--prefer", "--json", "--mask", "mask.png")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    expected = roi_ray.prefer("x.png", "low.jpg", "high.webp", mask="mask.png").to_dict()
    assert document["preference"] == json.loads(json.dumps(expected))
    metrics = {optional_metric(each["column"]) for each in expected["contributions"]} - {None}
    assert document["settings"]["metrics"] == sorted(metrics)
    without = json.loads(run("x.png", "low.jpg", "high.webp", "--json").stdout)
    assert "preference" not in without


def test_empty_mask_with_a_preference_is_explained(run, folder) -> None:
    write(folder / "black.png", encode(np.zeros((96, 120), np.uint8)))
    result = run("x.png", "low.jpg", "high.webp", "--prefer", "--mask", "black.png")
    assert result.exit_code == 0, result.output
    assert "numbers of the whole image stand in" in result.stdout


@pytest.mark.parametrize("images", [("low.jpg",), ("low.jpg", "high.webp", "low.jpg")])
def test_preference_needs_exactly_two_images(run, images) -> None:
    result = run("x.png", *images, "--prefer")
    assert result.exit_code == 2
    assert result.stderr == (
        f"error: --prefer needs exactly two images, A and B, not {len(images)}\n"
    )


def test_bad_image_leaves_no_preference_and_exits_with_3(run) -> None:
    result = run("x.png", "low.jpg", "broken.png", "--prefer")
    assert result.exit_code == 3
    assert "ImageReadError: broken.png: cannot be decoded" in result.stdout
    assert result.stdout.endswith("No preference is predicted: an image could not be scored.\n")
    assert not result.stderr
    result = run("x.png", "gone.png", "low.jpg", "--prefer", "--json")
    assert result.exit_code == 3
    document = json.loads(result.stdout)
    assert document["preference"] is None
    assert document["images"][0]["error_kind"] == "ImageReadError"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--prefer", "--lpips", "st-alex"), "was trained on other scores: lpips is "),
        (
            ("--prefer", "--roi-weighting", "normalised"),
            "was trained on other scores: roi_weighting is normalised, but it needs mean.",
        ),
        (
            ("--prefer", "--precision", "bf16", "--allow-slow-precision"),
            "was trained on other scores: precision is bf16, but it needs fp32.",
        ),
        (("--prefer", "--model", "gone.safetensors"), "gone.safetensors"),
        (("--prefer", "--model", "x.png"), "x.png"),
        (("--model", "some.safetensors"), "--model is the model of --prefer: give --prefer too"),
    ],
)
def test_settings_that_do_not_fit_the_preference_model_exit_with_2(run, arguments, message) -> None:
    result = run("x.png", "low.jpg", "high.webp", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not result.stdout
