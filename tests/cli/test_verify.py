"""`roi-ray verify` on outputs that a job has written."""

import json
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from roi_ray.cli.app import app
from roi_ray.models.loader import WEIGHTS_FOLDER
from roi_ray.scoring.version import SCORING_VERSION
from tests.conftest import encode, write
from tests.verification.sweeps import rewrite, score_sweep


@pytest.fixture(scope="module")
def sweep(photos, tmp_path_factory):
    folder = tmp_path_factory.mktemp("verify")
    score_sweep(photos, folder)
    return folder


@pytest.fixture
def scores(sweep, tmp_path):
    """A copy of the sweep and its scores, to change; the manifest is named with --manifest."""
    shutil.copytree(sweep, tmp_path / "sweep")
    return tmp_path / "sweep" / "scores"


@pytest.fixture
def verify(run, scores):
    return lambda *arguments: run(scores, "--manifest", scores.parent / "m.parquet", *arguments)


def test_scores_of_a_job_agree_and_exit_with_0(run, sweep) -> None:
    result = run(sweep / "scores")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert "7 of 7 pairs drawn with seed 0; 7 computed anew on cpu" in lines[0]
    table = {line.split()[0]: line.split() for line in lines if "agrees (" in line}
    assert len(table) == 26
    assert all(cells[1] == "7" for cells in table.values())
    assert "all numbers of 7 pairs agree, in 26 columns" in lines[-1]
    assert " ".join(table["ms_ssim"][-6:]) == "(pytorch_msssim; literal method for small images)"
    assert table["lpips"][-1] == "(lpips)"


def test_json_has_everything(run, sweep) -> None:
    result = run(sweep / "scores", "--json", "--pairs", "3", "--seed", "5")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert (document["drawn"], document["verified"], document["scored"]) == (3, 3, 7)
    assert (document["seed"], document["agrees"]) == (5, True)
    assert document["settings"] == {"lpips": "alex", "roi_weighting": "mean", "precision": "fp32"}
    assert document["scoring_version"] == SCORING_VERSION
    assert {"pytorch-msssim", "lpips", "numpy", "torch"} <= document["packages"].keys()
    psnr = document["columns"]["psnr"]
    assert psnr["verdict"] == "agrees"
    assert 0 <= psnr["worst_difference"] <= psnr["allowed"]


def test_altered_numbers_are_off_by_column_and_pair_and_exit_with_1(verify, scores) -> None:
    altered = {
        "pair 0": {"mse": 0.5, "ms_ssim": 0.5, "reference_bit_depth": 10, "roi_mse_cr": None},
        "pair 1": {"psnr": 12.0, "lpips": None, "roi_fraction": 0.9, "distorted_bit_depth": 9},
        "pair 2": {"d_loss": 0.1, "roi_ms_ssim": 0.7, "mse_cb": 0.1, "roi_psnr": None},
        "pair 3": {"roi_lpips": 0.0, "mse_y": float("nan"), "ms_ssim_scales": 4},
        "pair 4": {"roi_mse": 0.2, "mse_cr": 0.1, "roi_d_loss": 3.0},
        "pair 5": {"texture_gained": 0.1, "roi_texture_lost": 0.01},
        "pair 6": {"roi_mse_y": 0.2, "roi_mse_cb": 0.1, "texture_lost": 0.3},
    }
    for pair_id, values in altered.items():
        rewrite(scores, pair_id, **values)
    result = verify()
    assert result.exit_code == 1, result.output
    worst = {name: pair_id for pair_id, values in altered.items() for name in values}
    for name, pair_id in worst.items():
        assert f"OFF: {name}, worst in pair {pair_id} (" in result.stdout
    assert result.stdout.count("OFF in 1 (") == len(worst) == 23
    assert "OFF: roi_lpips, worst in pair pair 3 (high.webp): 0 in the scores, null comp" in (
        result.stdout
    )
    assert "23 columns off" in result.stdout.splitlines()[-1]


def test_small_error_of_one_number_is_off(verify, scores) -> None:
    """One thousandth of a decibel, in one pair of seven."""
    result = verify("--json")
    exact = json.loads(result.stdout)["columns"]["roi_psnr"]
    assert exact["verdict"] == "agrees"
    table = pq.read_table(scores)
    row = table["pair_id"].to_pylist().index("pair 2")
    rewrite(scores, "pair 2", roi_psnr=table["roi_psnr"][row].as_py() + 1e-3)
    result = verify("--json")
    assert result.exit_code == 1
    found = json.loads(result.stdout)["columns"]
    assert [name for name, column in found.items() if column["verdict"] == "off"] == ["roi_psnr"]
    assert found["roi_psnr"]["worst"]["pair_id"] == "pair 2"
    assert found["roi_psnr"]["worst"]["difference"] == pytest.approx(1e-3, rel=0.01)


def test_missing_and_resized_files_are_not_verified_and_exit_with_4(verify, scores) -> None:
    folder = scores.parent
    (folder / "small.jpg").unlink()
    write(folder / "high.webp", encode(np.zeros((50, 60, 3), np.uint8), "WEBP"))
    result = verify()
    assert result.exit_code == 4, result.output
    text = result.stdout
    assert "not verified: pair 6 (small.jpg): ImageReadError: " in text
    assert "SizeMismatch: high.webp: now 60 x 50, but 170 x 164 in the scores" in text
    assert "7 of 7 pairs drawn with seed 0; 3 computed anew" in text
    assert "all numbers of 3 pairs agree" in text and "4 pairs not verified" in text
    rewrite(scores, "pair 0", mse=0.5)
    assert verify().exit_code == 1


def test_files_outside_the_manifests_folder_need_allow_prefix(run, sweep, tmp_path) -> None:
    manifest = tmp_path / "m.parquet"
    shutil.copy(sweep / "m.parquet", manifest)
    for name in ("x.png", "x16.png", "low.jpg", "high.webp", "band.png", "empty.png"):
        (tmp_path / name).symlink_to(sweep / name)
    for name in ("small.png", "small.jpg"):
        (tmp_path / name).symlink_to(sweep / name)
    options = (sweep / "scores", "--manifest", manifest, "--pairs", "2")
    result = run(*options)
    assert result.exit_code == 4
    assert "no pair could be verified" in result.stdout
    assert "NotAllowed: " in result.stdout and "--allow-prefix" in result.stdout
    assert run(*options, "--allow-prefix", sweep).exit_code == 0


def test_changed_image_is_off(verify, scores, photos) -> None:
    other = np.ascontiguousarray(photos["rocket"][:164, :170])
    write(scores.parent / "low.jpg", encode(other, "JPEG"))
    result = verify()
    assert result.exit_code == 1
    assert "an image has changed since then" in result.stdout


def test_scores_of_another_scoring_version_are_refused(verify, scores) -> None:
    record = scores / "_run" / "run.json"
    run = json.loads(record.read_text())
    record.write_text(json.dumps({**run, "scoring_version": SCORING_VERSION - 1}))
    result = verify()
    assert result.exit_code == 2
    assert f"scoring version {SCORING_VERSION - 1}" in result.stderr
    assert f"version {SCORING_VERSION}" in result.stderr


def test_folder_without_scores_is_refused(run, verify, scores, tmp_path) -> None:
    assert run(tmp_path).exit_code == 2
    for path in scores.glob("*.parquet"):
        path.write_bytes(path.read_bytes()[:-20])
    result = verify()
    assert result.exit_code == 2
    assert "has no pair with scores" in result.stderr and "3 files are torn" in result.stderr


def test_weights_and_settings_of_the_run_are_used_and_others_refused(run, photos, tmp_path) -> None:
    packaged = WEIGHTS_FOLDER / "saliency-lite0.safetensors"
    tensors = load_file(packaged)
    name = next(name for name, tensor in tensors.items() if tensor.ndim == 4)
    own = tmp_path / "own.safetensors"
    save_file({**tensors, name: tensors[name] * 1.01}, own)
    settings = {"lpips": "st-alex", "roi_weighting": "normalised", "saliency": str(own)}
    scores = score_sweep(photos, tmp_path / "sweep", **settings)
    result = run(scores, "--pairs", 3)
    assert result.exit_code == 2
    assert "name that file with --saliency" in result.stderr
    result = run(scores, "--saliency", packaged)
    assert result.exit_code == 2
    assert "made with other saliency weights, own.safetensors" in result.stderr
    result = run(scores, "--saliency", own)
    assert result.exit_code == 0, result.output
    assert "lpips st-alex, roi_weighting normalised, precision fp32" in result.stdout
    assert "agrees (stlpips_pytorch)" in result.stdout


def test_result_is_kept_beside_the_scores(verify, scores) -> None:
    before = {path: path.read_bytes() for path in scores.glob("*.parquet")}
    assert verify("--pairs", "2", "--seed", "3").exit_code == 0
    record = json.loads((scores / "_run" / "verify.json").read_text())
    assert (record["verdict"], record["seed"], record["drawn"]) == ("agrees", 3, 2)
    assert record["columns"]["psnr"]["verdict"] == "agrees"
    assert {path: path.read_bytes() for path in scores.glob("*.parquet")} == before
    rewrite(scores, "pair 0", psnr=12.0)
    assert verify().exit_code == 1
    assert json.loads((scores / "_run" / "verify.json").read_text())["verdict"] == "off"


def test_output_that_cannot_be_written_to_gets_a_warning(verify, scores) -> None:
    record = scores / "_run" / "verify.json"
    record.unlink(missing_ok=True)
    record.mkdir()
    result = verify("--pairs", "1")
    assert result.exit_code == 0, result.output
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("warning: ")]
    assert line.startswith("warning: the result is not kept: cannot write ")


def test_status_shows_the_verification(verify, scores) -> None:
    verify("--pairs", "2")
    status = CliRunner().invoke(app, ["status", str(scores)])
    assert status.exit_code == 0, status.output
    assert "verified: 2 of 7 pairs computed anew (seed 0, " in status.stdout
