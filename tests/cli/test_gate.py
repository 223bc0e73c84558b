"""`roi-ray gate`: exit codes, files, and real encodes."""

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image, ImageFilter

from roi_ray.imaging.decode import decode_image
from roi_ray.metrics.ms_ssim import ms_ssim
from roi_ray.pipeline.options import Options
from roi_ray.pipeline.run import score_manifest
from roi_ray.settings import Settings
from tests.conftest import encode, strip_colours, to_tensor, write_sweep
from tests.decision.gate.gate_tables import draw_factors, make_rows, scale_rates, write_table

METRIC = ("--metric", "ms_ssim")


@pytest.fixture
def gate(run, tmp_path):
    """A function that writes both tables and invokes the command."""

    def invoke(candidate, *options, baseline=None):
        old = write_table(tmp_path / "old.parquet", baseline or make_rows())
        new = write_table(tmp_path / "new.parquet", candidate)
        return run("--baseline", old, "--candidate", new, *options)

    return invoke


def test_unchanged_codec_exits_with_0(gate) -> None:
    result = gate(make_rows(), *METRIC, "--require-proof")
    assert result.exit_code == 0, result.output
    lines = strip_colours(result.stdout).splitlines()
    assert lines[0] == "PASS: all 2 checks passed"
    assert lines[1] == "12 images that both have, matched: 12 by URI"


def test_worse_codec_exits_with_1_and_writes_all_files(gate, tmp_path) -> None:
    paths = {name: tmp_path / "new" / "folder" / f"gate.{name}" for name in ("xml", "md", "json")}
    result = gate(
        make_rows(rate=1.02),
        *METRIC,
        "--metric",
        "roi_lpips=3",
        *("--junit", paths["xml"], "--markdown", paths["md"], "--json", paths["json"]),
    )
    assert result.exit_code == 1, result.output
    assert "failed: mine, ms_ssim: all of +2.00 .. +2.00 % is above the limit of +0.5 %" in (
        result.stdout
    )
    assert ET.parse(paths["xml"]).find("testsuite").attrib["failures"] == "1"
    assert paths["md"].read_text().startswith("### ❌ roi-ray gate: FAIL: 1 of 3 checks failed")
    document = json.loads(paths["json"].read_text())
    assert [check["verdict"] for check in document["checks"]] == ["worse", "within"]
    assert sorted(path.name for path in paths["xml"].parent.iterdir()) == [
        "gate.json",
        "gate.md",
        "gate.xml",
    ]


@pytest.mark.parametrize(("options", "code"), [((), 0), (("--require-proof",), 1)])
def test_doubt_passes_unless_proof_is_required(gate, options, code) -> None:
    noisy = scale_rates(make_rows(), draw_factors(1.004, 0.01, 12))
    result = gate(noisy, *METRIC, *options)
    assert result.exit_code == code
    assert "the limit of +0.5 % is inside" in result.stdout


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--metric", "vmaf"), "'vmaf' is not a metric"),
        (("--metric", "ms_ssim=tight"), "--metric ms_ssim=tight: 'tight' is not a limit"),
        (("--metric", "ms_ssim=nan"), "'nan' is not a limit"),
        (("--metric", "ms_ssim", "--metric", "ms_ssim=1"), "given twice"),
        ((*METRIC, "--codec", "other"), "has no codec 'other'; it has mine"),
        ((*METRIC, "--candidate", "/nowhere"), "/nowhere"),
    ],
)
def test_unusable_arguments_exit_with_2(gate, tmp_path, options, message) -> None:
    result = gate(make_rows(), *options, "--junit", tmp_path / "gate.xml")
    assert result.exit_code == 2
    assert message in result.stderr
    assert not (tmp_path / "gate.xml").exists()


# Real encodes: JPEG of six photographs, measured by MS-SSIM and PSNR of the pixels.

QUALITIES = (20, 40, 60, 80, 92)
SIDE = 176


def encode_photos(photos, folder: Path, decode=lambda image: image, **options) -> str:
    """Encode photographs as JPEG, decode them in some way, and write scores."""
    rows = []
    for name, pixels in photos.items():
        crop = np.ascontiguousarray(pixels[:SIDE, :SIDE])
        for quality in QUALITIES:
            data = encode(crop, "JPEG", quality=quality, **options)
            distorted = np.array(decode(Image.fromarray(decode_image(data))))
            x, y = (to_tensor(p)[None].to(torch.float32) / 255 for p in (crop, distorted))
            rows.append(
                {
                    "reference": f"{name}.png",
                    "codec": "jpeg",
                    "quality": float(quality),
                    "bpp": 8 * len(data) / SIDE**2,
                    "ms_ssim": float(ms_ssim(x, y)[0]),
                    "psnr": float(-10 * torch.log10((x - y).square().mean())),
                }
            )
    folder.mkdir()
    pq.write_table(pa.Table.from_pylist(rows), folder / "scores.parquet")
    return str(folder / "scores.parquet")


def swap_chroma(image):
    y, cb, cr = image.convert("YCbCr").split()
    return Image.merge("YCbCr", (y, cr, cb)).convert("RGB")


def blur(image):
    return image.filter(ImageFilter.GaussianBlur(1.5))


@pytest.fixture(scope="module")
def sound(photos, tmp_path_factory):
    return encode_photos(photos, tmp_path_factory.mktemp("gate") / "sound")


@pytest.mark.parametrize("decode", [swap_chroma, blur])
def test_broken_decoder_of_real_images_fails(run, sound, photos, tmp_path, decode) -> None:
    broken = encode_photos(photos, tmp_path / "broken", decode)
    result = run("--baseline", sound, "--candidate", broken, "--metric", "psnr")
    assert result.exit_code == 1, result.output


def test_optimised_huffman_tables_are_better(run, sound, photos, tmp_path) -> None:
    """The same pixels in fewer bytes."""
    optimised = encode_photos(photos, tmp_path / "optimised", optimize=True)
    result = run("--baseline", sound, "--candidate", optimised, *METRIC, "--metric", "psnr")
    assert result.exit_code == 0, result.output
    assert result.stdout.count(" better ") == 2
    result = run("--baseline", optimised, "--candidate", sound, *METRIC, "--metric", "psnr")
    assert result.exit_code == 1
    assert result.stdout.count(" WORSE ") == 2


@pytest.mark.e2e
def test_outputs_of_score_jobs(run, photos, tmp_path) -> None:
    crops = {name: pixels[:96, :112] for name, pixels in photos.items()}
    manifest = write_sweep(crops, tmp_path, {"jpeg": [20, 50, 75, 92]})
    options = Options("cpu", engine="local")
    for name, settings in (("a", Settings()), ("b", Settings(roi_weighting="normalised"))):
        score_manifest(manifest, str(tmp_path / name), settings, options)
    same = ("--baseline", tmp_path / "a", "--candidate", tmp_path / "a")
    result = run(*same, *METRIC, "--metric", "lpips", "--json", tmp_path / "gate.json")
    assert result.exit_code == 0, result.output
    document = json.loads((tmp_path / "gate.json").read_text())
    assert [check["verdict"] for check in document["checks"]] == ["unchanged"] * 2
    assert document["notes"] == []
    assert document["baseline"]["precision"] == "fp32"
    result = run("--baseline", tmp_path / "a", "--candidate", tmp_path / "b", *METRIC)
    assert result.exit_code == 2
    assert "roi_weighting: 'mean' in the baseline, 'normalised' in the candidate" in result.stderr
