"""jobs/score.py as users start it."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.conftest import Photos, encode, make_sweep_of, write
from tests.e2e.conftest import many_small_pairs, run_job, start_job

pytestmark = pytest.mark.e2e

PAIRS = int(os.environ.get("ROI_RAY_PAIRS", "1000"))
"""In fifty shards."""


@pytest.mark.long
def test_a_job_killed_again_and_again_loses_and_doubles_nothing(
    tmp_path: Path, photos: Photos
) -> None:
    """`ROI_RAY_KILLS` kills, at random moments; each time another number of actors goes on."""
    manifest = many_small_pairs(tmp_path, photos, PAIRS)
    shard = PAIRS // 50
    base = ["--manifest", manifest, "--shard-size", str(shard)]
    whole = run_job(*base, "--output", str(tmp_path / "whole"), "--actors", "2", cwd=tmp_path)
    assert whole.returncode == 0, whole.stderr

    output = tmp_path / "scores"
    command = [*base, "--output", str(output)]
    dice = random.Random(int(os.environ.get("ROI_RAY_SEED", "0")))
    kept: dict[Path, bytes] = {}
    for kill in range(int(os.environ.get("ROI_RAY_KILLS", "1"))):
        job = start_job(*command, "--actors", str(1 + kill % 3))
        wanted = min(49, len(kept) + dice.randint(1, 6))
        deadline = time.monotonic() + 240
        while len(list(output.glob("*.parquet"))) < wanted:
            assert job.poll() is None, job.communicate()[1]
            assert time.monotonic() < deadline
            time.sleep(0.02)
        time.sleep(dice.uniform(0, 0.3))
        os.killpg(job.pid, signal.SIGKILL)
        job.communicate()
        there = {path: path.read_bytes() for path in output.glob("*.parquet")}
        assert {path: there[path] for path in kept} == kept  # what was done is not touched
        kept = there
        assert all(pq.read_metadata(path).num_rows == shard for path in kept)  # whole, or not there
    assert 0 < len(kept) < 50

    gone = dice.sample(sorted(kept), min(3, len(kept)))
    for path in gone:
        path.unlink()
    # In the last run one of the scoring actors is lost, and the job goes on.
    job = start_job(*command, "--actors", "2")
    while len(list(output.glob("*.parquet"))) <= len(kept) - len(gone):
        assert job.poll() is None, job.communicate()[1]
        time.sleep(0.02)
    os.kill(_scoring_actors(job.pid)[0], signal.SIGKILL)
    out, err = job.communicate(timeout=240)
    assert job.returncode == 0, err
    redone = shard * (50 - len(kept) + len(gone))
    assert f"{PAIRS} pairs, 0 failed; {redone} scored now" in out
    assert f"{PAIRS}/{PAIRS} pairs" in err
    got, expected = (pq.read_table(at) for at in (output, tmp_path / "whole"))
    assert len(set(got["pair_id"].to_pylist())) == PAIRS
    # The same but for the last digits, which depend on an actor's number of threads.
    numbers = [name for name in got.column_names if pa.types.is_floating(got[name].type)]
    assert got.drop_columns(numbers).equals(expected.drop_columns(numbers))
    for name in numbers:
        # In dB, the last digits of a small error count as much as those of a large one.
        atol = 1e-3 if name.endswith("psnr") else 1e-6
        np.testing.assert_allclose(got[name], expected[name], rtol=1e-6, atol=atol, err_msg=name)


def _scoring_actors(job: int) -> list[int]:
    """Scoring actors among a job's descendants."""
    actors = []
    for process in psutil.Process(job).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):  # it may have ended
            if any("ScoringActor" in word for word in process.cmdline()):
                actors.append(process.pid)
    return actors


@pytest.mark.long
def test_two_jobs_do_not_write_to_one_output(tmp_path: Path, photos: Photos) -> None:
    manifest = make_sweep_of(photos, tmp_path / "sweep", side=200)
    output = tmp_path / "scores"
    command = ["--manifest", manifest, "--output", str(output), "--shard-size", "6"]
    first = start_job(*command, "--actors", "1")
    deadline = time.monotonic() + 240
    while not (output / "_run" / "lock.json").exists():
        assert first.poll() is None, first.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.05)
    second = run_job(*command, "--actors", "1", cwd=tmp_path)
    assert second.returncode == 2
    assert f"(process {first.pid}) is writing there" in second.stderr
    assert str(output) in second.stderr
    out, err = first.communicate(timeout=240)
    assert first.returncode == 0, err
    assert "36 pairs, 0 failed; 36 scored now" in out
    assert not (output / "_run" / "lock.json").exists()


@pytest.mark.long
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
    assert bad["error_kind"] == "WorkerDied"
    assert all(row["lpips"] is not None for row in table if row is not bad)


POISONED_JOB = """
import os, signal, sys
import ray
from roi_ray.pipeline.run import score_manifest
from roi_ray.pipeline.options import Options


def crash_on_poison():
    from roi_ray.io import storage

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
