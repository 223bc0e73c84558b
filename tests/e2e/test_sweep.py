"""Whole sweeps: killed and resumed, on a full disk, and on S3."""

import os
import signal
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from roi_ray.imaging.decode import decode_image
from roi_ray.io import storage
from tests.conftest import Photos, encode, write
from tests.e2e.conftest import run_job, start_job, upload_folder
from tests.s3_server import BUCKET, SECRET

pytestmark = pytest.mark.e2e


@pytest.fixture
def images(tmp_path: Path, photos: Photos) -> Path:
    folder = tmp_path / "images"
    for name, pixels in photos.items():
        write(folder / f"{name}.png", encode(pixels[:80, :100]))
    return folder


@pytest.mark.long
def test_sweep_killed_twice_and_resumed_encodes_every_cell_once(images, tmp_path) -> None:
    output = tmp_path / "sweep"
    command = ["--images", str(images), "--output", str(output), "--engine", "local"]
    command += ["--codec", "avif:10..90:10:speed=1", "--codec", "jpeg:50", "--shard-size", "5"]
    cells = 10 * len(list(images.iterdir()))
    committed: dict[Path, int] = {}
    for _ in range(2):
        job = start_job(*command, job="sweep")
        while len(list(output.glob("cells/*.parquet"))) <= len(committed):
            assert job.poll() is None, job.communicate()[1]
            time.sleep(0.02)
        os.killpg(job.pid, signal.SIGKILL)
        job.communicate()
        committed = {path: path.stat().st_mtime_ns for path in output.glob("cells/*.parquet")}
        assert not (output / "manifest.parquet").exists()
    done = run_job(*command, cwd=tmp_path, job="sweep")
    assert done.returncode == 0, done.stderr
    left = cells - sum(pq.read_metadata(path).num_rows for path in committed)
    assert f"{cells} cells, 0 failed; {left} encoded now" in done.stdout
    assert {path: path.stat().st_mtime_ns for path in committed} == committed
    rows = pq.read_table(output / "manifest.parquet").to_pylist()
    assert len({row["distorted"] for row in rows}) == len(rows) == cells
    for row in rows:
        data = (output / row["distorted"]).read_bytes()
        assert len(data) == row["bytes"]
        assert decode_image(data).shape == decode_image(Path(row["reference"]).read_bytes()).shape


def test_sigterm_ends_external_commands_and_keeps_what_is_done(images, tmp_path) -> None:
    output, plan, pid = tmp_path / "sweep", tmp_path / "plan.toml", tmp_path / "pid"
    script = write(tmp_path / "slow", f"#!/bin/sh\necho $$ >{pid}\nexec sleep 600\n".encode())
    Path(script).chmod(0o755)
    plan.write_text(
        f'[codecs.slow]\nquality = [1]\nsuffix = ".jpg"\n'
        f'encode = ["{script}", "{{in}}", "{{out}}", "{{quality}}"]'
    )
    command = ["--images", str(images), "--output", str(output), "--engine", "local"]
    done = run_job(*command, "--codec", "jpeg:50", cwd=tmp_path, job="sweep")
    assert done.returncode == 0, done.stderr
    job = start_job(*command, "--plan", str(plan), job="sweep")
    while not pid.exists() or not pid.read_text().strip():
        assert job.poll() is None, job.communicate()[1]
        time.sleep(0.05)
    job.send_signal(signal.SIGTERM)
    _, err = job.communicate(timeout=120)  # the command would take 600 seconds
    assert job.returncode == 143, err
    assert "the same command resumes the run" in err
    assert not Path(f"/proc/{pid.read_text().strip()}").exists()
    assert not (output / "cells/_run/lock.json").exists()
    again = run_job(*command, "--codec", "jpeg:50", cwd=tmp_path, job="sweep")
    assert again.returncode == 2
    assert "planned cells of slow that were never encoded" in again.stderr


def test_full_disk_stops_the_sweep_with_one_line_and_the_same_command_resumes(
    images, tmp_path
) -> None:
    output = tmp_path / "sweep"
    command = ["--images", str(images), "--output", str(output), "--codec", "jpeg:20,95"]
    # The system refuses longer files, as a full disk refuses any.
    limited = run_job(*command, cwd=tmp_path, job="sweep", **_limit_files(tmp_path, 4000))
    assert limited.returncode == 2
    assert limited.stderr.splitlines()[-1].startswith("error: ")
    assert "File too large" in limited.stderr.splitlines()[-1]
    assert "Traceback" not in limited.stderr
    for file in output.rglob("encoded/**/*.jpg"):
        assert decode_image(file.read_bytes()).shape == (80, 100, 3)
    done = run_job(*command, cwd=tmp_path, job="sweep")
    assert done.returncode == 0, done.stderr
    assert ", 0 failed" in done.stdout


def _limit_files(folder: Path, size: int) -> dict[str, str]:
    """Limit the size of the files that Python processes write."""
    code = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, {size}))"
    write(folder / "limit/sitecustomize.py", code.encode())
    # Python does not notice that its cached bytecode is cut off.
    return {"PYTHONPATH": str(folder / "limit"), "PYTHONDONTWRITEBYTECODE": "1"}


def test_sweep_on_s3_is_made_on_ray_scored_and_added_to(
    s3_in_this_process, images, tmp_path
) -> None:
    s3 = s3_in_this_process
    upload_folder(s3, images, "originals")
    output = f"s3://{BUCKET}/made"
    command = ["--images", f"s3://{BUCKET}/originals", "--output", output, "--limit", "2"]
    made = run_job(
        *command, "--codec", "jpeg:20,80", "--engine", "ray", cwd=tmp_path, job="sweep", **s3
    )
    assert made.returncode == 0, made.stderr
    assert "4 cells, 0 failed; 4 encoded now" in made.stdout
    added = run_job(
        *command,
        "--codec",
        "webp:50",
        "--engine",
        "local",
        "--score",
        cwd=tmp_path,
        job="sweep",
        **s3,
    )
    assert added.returncode == 0, added.stderr
    assert "6 cells, 0 failed; 2 encoded now" in added.stdout
    assert "6 pairs, 0 failed; 6 scored now" in added.stdout
    assert len(storage.list_tree(f"{output}/encoded")) == 6
    scores = [name for name in storage.list_files(f"{output}/scores") if name.endswith(".parquet")]
    assert len(scores) == 1
    for text in (made.stdout, made.stderr, added.stdout, added.stderr):
        assert SECRET not in text
