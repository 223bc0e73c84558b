"""jobs/score.py as users start it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.conftest import Photos, encode, make_sweep_of, write
from tests.e2e.conftest import run_job

pytestmark = pytest.mark.e2e


def test_a_killed_job_goes_on_where_it_was(tmp_path: Path, photos: Photos) -> None:
    manifest = make_sweep_of(photos, tmp_path / "sweep", side=200)
    output = tmp_path / "scores"
    command = ["--manifest", manifest, "--output", str(output), "--shard-size", "6"]
    script = Path(__file__).parents[2] / "jobs" / "score.py"
    # A group of its own, so that the kill takes the driver's Ray along, as a lost machine does.
    job = subprocess.Popen(
        [sys.executable, str(script), *command, "--actors", "2"],
        start_new_session=True,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 240
    while not (done := sorted(output.glob("*.parquet"))):
        assert job.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(job.pid, signal.SIGKILL)
    job.wait()
    done = sorted(output.glob("*.parquet"))
    before = {path: path.read_bytes() for path in done}
    assert 0 < len(done) < 6

    finished = run_job(*command, "--actors", "1", cwd=tmp_path)
    assert finished.returncode == 0, finished.stderr
    assert f"36 pairs, 0 failed; {36 - 6 * len(done)} scored now" in finished.stdout
    assert {path: path.read_bytes() for path in done} == before
    table = pq.read_table(output)
    assert table.num_rows == len(set(table["pair_id"].to_pylist())) == 36
    assert table["error"].null_count == 36
    assert "36/36 pairs" in finished.stderr


def test_two_jobs_do_not_write_to_one_output(tmp_path: Path, photos: Photos) -> None:
    manifest = make_sweep_of(photos, tmp_path / "sweep", side=200)
    output = tmp_path / "scores"
    command = ["--manifest", manifest, "--output", str(output), "--shard-size", "6"]
    script = Path(__file__).parents[2] / "jobs" / "score.py"
    first = subprocess.Popen(
        [sys.executable, str(script), *command, "--actors", "1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 240
    while not (output / "_run" / "lease.json").exists():
        assert first.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    second = run_job(*command, "--actors", "1", cwd=tmp_path)
    assert second.returncode == 2
    assert f"(process {first.pid}) is writing there" in second.stderr
    assert str(output) in second.stderr
    out, err = first.communicate(timeout=240)
    assert first.returncode == 0, err
    assert "36 pairs, 0 failed; 36 scored now" in out
    assert not (output / "_run" / "lease.json").exists()


def test_what_kills_its_process_is_one_error_row(tmp_path: Path, photos: Photos) -> None:
    """A decoder that crashes takes its whole process along, every time it meets the file."""
    x = photos["coffee"][:64, :64]
    write(tmp_path / "x.png", encode(x))
    rows = []
    for index in range(12):
        name = f"{'poison' if index == 7 else 'fine'}-{index}.jpg"
        write(tmp_path / name, encode(x, "JPEG", quality=10 + 5 * index))
        rows.append({"reference": "x.png", "distorted": name})
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "m.parquet")
    script = tmp_path / "job.py"
    script.write_text(POISONED_JOB)
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    table = pq.read_table(tmp_path / "scores").to_pylist()
    assert len(table) == 12
    (bad,) = [row for row in table if row["error"]]
    assert bad["distorted"] == "poison-7.jpg"
    assert bad["error"].startswith("WorkerDied: ")
    assert all(row["lpips"] is not None for row in table if row is not bad)


POISONED_JOB = """
import os, signal, sys
import ray
from roi_ray.pipeline.run import Options, score_manifest


def crash_on_poison():
    from roi_ray import storage

    read = storage.read_bytes

    def read_or_die(uri):
        if "poison" in uri:
            os.kill(os.getpid(), signal.SIGKILL)
        return read(uri)

    storage.read_bytes = read_or_die


ray.init(
    num_cpus=2,
    include_dashboard=False,
    logging_level="ERROR",
    runtime_env={"worker_process_setup_hook": crash_on_poison},
)
folder = sys.argv[1]
print(score_manifest(f"{folder}/m.parquet", f"{folder}/scores", options=Options("cpu", 1)))
"""
