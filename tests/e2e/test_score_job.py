"""Whole scoring jobs that are killed, compete for an output, or meet a file that crashes them."""

import contextlib
import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from roi_ray.io import storage
from roi_ray.io.lock_holder import parse_holder
from roi_ray.pipeline.decode_stage import decode_work_items
from roi_ray.pipeline.job import Stages
from roi_ray.pipeline.options import Options
from roi_ray.pipeline.run import score_manifest
from tests.conftest import Photos, encode, write
from tests.e2e.conftest import make_many_small_pairs, run_job, start_job

pytestmark = pytest.mark.e2e

SHARDS = 15
PAIRS = int(os.environ.get("ROI_RAY_PAIRS", "300"))
"""Number of pairs: a multiple of 300, so that each shard has whole references."""


@pytest.mark.long
def test_job_killed_and_resumed_alone_scores_each_pair_once(tmp_path: Path, photos: Photos) -> None:
    """Kill the job `ROI_RAY_KILLS` times at random moments and vary its number of actors.

    While the last one runs, a second job on its output is refused.
    """
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
    job = start_job(*command, "--actors", "2")
    lock = output / "_run" / "lock.json"
    while _find_lock_holder(lock) != job.pid:  # until then it is the killed job
        assert job.poll() is None, job.communicate()[1]
        time.sleep(0.05)
    second = start_job(*base, "--output", str(output), "--engine", "local")
    # In the last run a scoring actor is killed, and the job continues.
    while len(list(output.glob("*.parquet"))) <= len(kept) - len(deleted):
        assert job.poll() is None, job.communicate()[1]
        time.sleep(0.02)
    os.kill(_find_scoring_actors(job.pid)[0], signal.SIGKILL)
    _, refusal = second.communicate(timeout=240)
    assert second.returncode == 2, refusal
    assert f"(process {job.pid}) is writing there" in refusal
    assert str(output) in refusal
    out, err = job.communicate(timeout=240)
    assert job.returncode == 0, err
    # Ray prints it if an actor needs objects that Ray cannot restore when it restarts the actor.
    assert "constructor arguments in the object store" not in err
    redone = shard * (SHARDS - len(kept) + len(deleted))
    assert f"{PAIRS} pairs, 0 failed; {redone} scored now" in out
    assert f"{PAIRS}/{PAIRS} pairs" in err
    assert not lock.exists()
    scores, expected = (pq.read_table(path) for path in (output, tmp_path / "whole"))
    assert len(set(scores["pair_id"].to_pylist())) == PAIRS
    # The last digits depend on an actor's number of threads.
    numbers = [name for name in scores.column_names if pa.types.is_floating(scores[name].type)]
    assert scores.drop_columns(numbers).equals(expected.drop_columns(numbers))
    for name in numbers:
        # In dB, a small relative error of a small MSE is a large absolute one.
        atol = 1e-3 if name.endswith("psnr") else 1e-6
        np.testing.assert_allclose(scores[name], expected[name], rtol=1e-6, atol=atol, err_msg=name)


@pytest.mark.long
def test_job_that_is_killed_while_its_output_grows_is_resumed(
    tmp_path: Path, photos: Photos
) -> None:
    manifest = make_many_small_pairs(tmp_path, photos, PAIRS)
    shard, output = PAIRS // SHARDS, tmp_path / "scores"
    base = ["--manifest", manifest, "--shard-size", str(shard), "--output", str(output)]
    before = PAIRS // 3
    done = run_job(*base, "--limit", str(before), "--engine", "local", cwd=tmp_path)
    assert f"{before} pairs, 0 failed; {before} scored now" in done.stdout, done.stderr
    earlier = set(output.glob("*.parquet"))
    # Which engine is killed makes no difference to what is missing: the local one starts sooner.
    job = start_job(*base, "--engine", "local")
    while len(set(output.glob("*.parquet")) - earlier) < 3:
        assert job.poll() is None, job.communicate()[1]
        time.sleep(0.02)
    os.killpg(job.pid, signal.SIGKILL)
    job.communicate()
    kept = {path: path.read_bytes() for path in output.glob("*.parquet")}
    left = PAIRS - shard * len(kept)
    assert 0 < left <= PAIRS - before - 3 * shard
    resumed = run_job(*base, "--engine", "local", cwd=tmp_path)
    assert f"{PAIRS} pairs, 0 failed; {left} scored now" in resumed.stdout, resumed.stderr
    assert {path: path.read_bytes() for path in kept} == kept
    table = pq.read_table(output)
    assert len(set(table["pair_id"].to_pylist())) == len(table) == PAIRS
    assert table["error"].null_count == PAIRS


def _find_lock_holder(lock: Path) -> int | None:
    """Return the process that holds a lock; None if nobody does."""
    holder = parse_holder(lock.read_bytes()) if lock.exists() else None
    return holder.pid if holder else None


def _find_scoring_actors(job: int) -> list[int]:
    """Return the scoring actors among a job's descendants."""
    actors = []
    for process in psutil.Process(job).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):  # the process may have ended
            if any("ScoringActor" in word for word in process.cmdline()):
                actors.append(process.pid)
    return actors


# Ray wonders why no block of the lost work arrives.
@pytest.mark.filterwarnings("ignore:The minimum number of concurrent actors:UserWarning")
@pytest.mark.long
def test_file_that_crashes_its_decoder_becomes_an_error_row(
    tmp_path: Path, photos: Photos, ray_cluster: None
) -> None:
    """The decoder kills its process each time it reads the file."""

    def decode_or_die(table: pa.Table, **arguments: object) -> Iterator[pa.Table]:
        read = storage.read_bytes

        def read_or_die(uri: str, *limits: int | None) -> bytes:
            if os.path.basename(uri).startswith("crash"):
                os.kill(os.getpid(), signal.SIGKILL)
            return read(uri, *limits)

        storage.read_bytes = read_or_die
        try:
            yield from decode_work_items(table, **arguments)
        finally:
            storage.read_bytes = read  # other tests may use this process, too

    x = photos["coffee"][:64, :64]
    write(tmp_path / "x.png", encode(x))
    rows = []
    for index in range(12):
        name = f"{'crash' if index == 7 else 'fine'}-{index}.jpg"
        write(tmp_path / name, encode(x, "JPEG", quality=10 + 5 * index))
        rows.append({"reference": "x.png", "distorted": name})
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "m.parquet")
    score_manifest(
        str(tmp_path / "m.parquet"),
        str(tmp_path / "scores"),
        options=Options("cpu", 1, engine="ray"),
        stages=Stages(decode=decode_or_die),
    )
    table = pq.read_table(tmp_path / "scores").to_pylist()
    assert len(table) == 12
    (bad,) = [row for row in table if row["error"]]
    assert bad["distorted"] == "crash-7.jpg"
    assert bad["error_kind"] == "WorkerDied"
    assert all(row["lpips"] is not None for row in table if row is not bad)
