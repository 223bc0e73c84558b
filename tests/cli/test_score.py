"""The command line of `roi-ray score`; whole runs of it are in tests/e2e."""

import os
import signal
import subprocess
import sys
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.conftest import encode, make_sweep_of, strip_colours, write

OPTIONS = (
    "--manifest --output --demo --lpips --saliency --discriminator --weights-dir --roi-weighting "
    "--device --actors --gpus-per-actor --batch --precision --shard-size --max-pixels --limit "
    "--fail-above --allow-slow-precision"
)


def test_help_explains_every_option_with_its_default(run, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    result = run("--help")
    assert result.exit_code == 0
    text = strip_colours(result.output)
    assert all(option in text for option in OPTIONS.split())
    for default in ("alex", "saliency-lite0", "mean", "auto", "fp32", "1024", "67108864", "0.1"):
        assert f"[default: {default}]" in text


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--manifest", "m.csv"),
        ("--output", "out"),
        ("--demo", "d", "--manifest", "m.csv", "--output", "out"),
        ("--manifest", "m.csv", "--output", "out", "--roi-weighting", "median"),
        ("--manifest", "m.csv", "--output", "out", "--lpips", "resnet"),
        ("--manifest", "m.csv", "--output", "out", "--actors", "0"),
        ("--manifest", "m.csv", "--output", "out", "--device", "gpu"),
        ("--manifest", "m.csv", "--output", "gs://bucket/out"),
        ("--manifest", "m.csv", "--output", "out", "--fail-above", "2"),
        ("--manifest", "no-such.csv", "--output", "out"),
    ],
)
def test_unusable_arguments_exit_with_2(run, arguments, monkeypatch, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.stderr
    assert not list(tmp_path.iterdir())


def test_error_names_the_bad_manifest_row(run, tmp_path) -> None:
    (tmp_path / "m.csv").write_text("reference,distorted\na.png,b.png\na.png,b.png\n")
    result = run("--manifest", tmp_path / "m.csv", "--output", tmp_path / "out")
    assert result.exit_code == 2
    assert "rows 1 and 2 are the same pair" in result.stderr


@pytest.fixture(scope="module")
def half_bad(tmp_path_factory, photos):
    folder = tmp_path_factory.mktemp("half-bad")
    x = photos["coffee"][:48, :48]
    write(folder / "x.png", encode(x))
    write(folder / "y.jpg", encode(x, "JPEG"))
    rows = [{"reference": "x.png", "distorted": name} for name in ("y.jpg", "gone.jpg")]
    pq.write_table(pa.Table.from_pylist(rows), folder / "m.parquet")
    return folder


def test_too_many_failed_rows_exit_with_3(run, half_bad) -> None:
    arguments = ("--manifest", half_bad / "m.parquet", "--output", half_bad / "out")
    arguments += ("--engine", "local")
    result = run(*arguments)
    assert result.exit_code == 3
    assert "2 pairs, 1 failed; 2 scored now" in result.stdout
    assert "gone.jpg: cannot read" in result.stdout
    assert "more than --fail-above 0.1" in result.stderr
    # All rows are committed, so a run with a higher limit scores none again.
    again = run(*arguments, "--fail-above", "0.5")
    assert again.exit_code == 0
    assert "2 pairs, 1 failed; 0 scored now" in again.stdout


def test_limit_and_weighting_apply_to_the_output(run, tmp_path, photos) -> None:
    manifest = make_sweep_of({"coffee": photos["coffee"]}, tmp_path / "sweep", side=48)
    result = run(
        "--manifest", manifest, "--output", tmp_path / "out", "--limit", 2,
        "--roi-weighting", "normalised", "--engine", "local", "--batch", 2,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    table = pq.read_table(tmp_path / "out")
    assert table.num_rows == 2
    assert b'"roi_weighting": "normalised"' in table.schema.metadata[b"roi_ray"]


def test_sigterm_stops_a_local_job_which_releases_its_lock(photos, tmp_path) -> None:
    manifest, output = make_sweep_of(photos, tmp_path / "sweep", side=200), tmp_path / "scores"
    command = [sys.executable, "-m", "roi_ray", "score", "--manifest", manifest, "--output", output]
    job = subprocess.Popen(
        [*map(str, command), "--engine", "local", "--shard-size", "6"],
        stderr=subprocess.PIPE,
        text=True,
    )
    with job:
        while not list(output.glob("*.parquet")):
            assert job.poll() is None, job.communicate()[1]
            time.sleep(0.02)
        os.kill(job.pid, signal.SIGTERM)
        _, err = job.communicate(timeout=60)
    assert job.returncode == 143, err
    assert "stopped: finished shards are kept; the same command resumes the run" in err
    assert "Traceback" not in err
    assert not (output / "_run" / "lock.json").exists()
