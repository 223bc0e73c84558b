"""Whole scoring jobs that are killed, compete for an output, or meet a file that crashes them."""

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
from tests.e2e.conftest import make_many_small_pairs, run_job, start_job

pytestmark = pytest.mark.e2e

SHARDS = 30
PAIRS = int(os.environ.get("ROI_RAY_PAIRS", "600"))
"""Number of pairs: a multiple of 600, so that each shard has whole references."""


@pytest.mark.long
def test_job_killed_and_resumed_scores_each_pair_once(tmp_path: Path, photos: Photos) -> None:
    """Kill the job `ROI_RAY_KILLS` times at random moments and vary its number of actors."""
    manifest = make_many_small_pairs(tmp_path, photos, PAIRS)
    shard = PAIRS // SHARDS
    base = ["--manifest", manifest, "--shard-size", str(shard)]
    whole = run_job(*base, "--output", str(tmp_path / "whole"), "--engine", "local", cwd=tmp_path)
    assert whole.returncode == 0, whole.stderr

    output = tmp_path / "scores"
    command = [*base, "--output", str(output), "--engine", "ray"]
    rng = random.Random(int(os.environ.get("ROI_RAY_SEED", "0")))
    kept: dict[Path, bytes] = {}
    for kill in range(int(os.environ.get("ROI_RAY_KILLS", "1"))):
        job = start_job(*command, "--actors", str(1 + kill % 3))
        threshold = min(SHARDS - 1, len(kept) + rng.randint(1, 6))
        deadline = time.monotonic() + 240
        while len(list(output.glob("*.parquet"))) < threshold:
            assert job.poll() is None, job.communicate()[1]
            assert time.monotonic() < deadline
            time.sleep(0.02)
        time.sleep(rng.uniform(0, 0.3))
        os.killpg(job.pid, signal.SIGKILL)
        job.communicate()
        shards = {path: path.read_bytes() for path in output.glob("*.parquet")}
        assert {path: shards[path] for path in kept} == kept  # finished shards are not touched
        kept = shards
        assert all(pq.read_metadata(path).num_rows == shard for path in kept)  # none is incomplete
    assert 0 < len(kept) < SHARDS

    deleted = rng.sample(sorted(kept), min(3, len(kept)))
    for path in deleted:
        path.unlink()
    # In the last run a scoring actor is killed, and the job continues.
    job = start_job(*command, "--actors", "2")
    while len(list(output.glob("*.parquet"))) <= len(kept) - len(deleted):
        assert job.poll() is None, job.communicate()[1]
        time.sleep(0.02)
    os.kill(_find_scoring_actors(job.pid)[0], signal.SIGKILL)
    out, err = job.communicate(timeout=240)
    assert job.returncode == 0, err
    # Ray prints it if an actor needs objects that Ray cannot restore when it restarts the actor.
    assert "constructor arguments in the object store" not in err
    redone = shard * (SHARDS - len(kept) + len(deleted))
    assert f"{PAIRS} pairs, 0 failed; {redone} scored now" in out
    assert f"{PAIRS}/{PAIRS} pairs" in err
    scores, expected = (pq.read_table(path) for path in (output, tmp_path / "whole"))
    assert len(set(scores["pair_id"].to_pylist())) == PAIRS
    # The last digits depend on an actor's number of threads.
    numbers = [name for name in scores.column_names if pa.types.is_floating(scores[name].type)]
    assert scores.drop_columns(numbers).equals(expected.drop_columns(numbers))
    for name in numbers:
        # In dB, a small relative error of a small MSE is a large absolute one.
        atol = 1e-3 if name.endswith("psnr") else 1e-6
        np.testing.assert_allclose(scores[name], expected[name], rtol=1e-6, atol=atol, err_msg=name)


def _find_scoring_actors(job: int) -> list[int]:
    """Return the scoring actors among a job's descendants."""
    actors = []
    for process in psutil.Process(job).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):  # the process may have ended
            if any("ScoringActor" in word for word in process.cmdline()):
                actors.append(process.pid)
    return actors


@pytest.mark.long
def test_second_job_on_the_same_output_is_refused(tmp_path: Path, photos: Photos) -> None:
    manifest = make_sweep_of(photos, tmp_path / "sweep", side=200)
    output = tmp_path / "scores"
    command = ["--manifest", manifest, "--output", str(output), "--shard-size", "6"]
    first = start_job(*command, "--engine", "ray", "--actors", "1")
    deadline = time.monotonic() + 240
    while not (output / "_run" / "lock.json").exists():
        assert first.poll() is None, first.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.05)
    second = run_job(*command, "--engine", "local", cwd=tmp_path)
    assert second.returncode == 2
    assert f"(process {first.pid}) is writing there" in second.stderr
    assert str(output) in second.stderr
    out, err = first.communicate(timeout=240)
    assert first.returncode == 0, err
    assert "36 pairs, 0 failed; 36 scored now" in out
    assert not (output / "_run" / "lock.json").exists()


@pytest.mark.long
def test_file_that_crashes_its_decoder_becomes_an_error_row(tmp_path: Path, photos: Photos) -> None:
    """The decoder kills its process each time it reads the file."""
    x = photos["coffee"][:64, :64]
    write(tmp_path / "x.png", encode(x))
    rows = []
    for index in range(12):
        name = f"{'crash' if index == 7 else 'fine'}-{index}.jpg"
        write(tmp_path / name, encode(x, "JPEG", quality=10 + 5 * index))
        rows.append({"reference": "x.png", "distorted": name})
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "m.parquet")
    script = tmp_path / "job.py"
    script.write_text(CRASHING_JOB)
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
    assert bad["distorted"] == "crash-7.jpg"
    assert bad["error_kind"] == "WorkerDied"
    assert all(row["lpips"] is not None for row in table if row is not bad)


CRASHING_JOB = """
import os, signal, sys
import ray
from roi_ray.pipeline.run import score_manifest
from roi_ray.pipeline.options import Options


def crash_on_marked_files():
    from roi_ray.io import storage

    read = storage.read_bytes

    def read_or_die(uri):
        if os.path.basename(uri).startswith("crash"):
            os.kill(os.getpid(), signal.SIGKILL)
        return read(uri)

    storage.read_bytes = read_or_die


ray.init(
    num_cpus=2,
    include_dashboard=False,
    logging_level="ERROR",
    runtime_env={"worker_process_setup_hook": crash_on_marked_files},
)
folder = sys.argv[1]
options = Options("cpu", 1, engine="ray")
print(score_manifest(f"{folder}/m.parquet", f"{folder}/scores", options=options))
"""
