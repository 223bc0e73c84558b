"""Memory of jobs: what is sampled, and what a failed job says."""

import sys
import time

import pytest

from roi_ray.bench import memory
from roi_ray.bench.memory import measure_job_memory
from roi_ray.bench.workload import make_groups
from roi_ray.settings import Settings
from roi_ray.sweep import photographs

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/proc")

WAIT = """
import pathlib, sys, time
*_, ready, seen = map(pathlib.Path, sys.argv)
ready.touch()
while not seen.exists():
    time.sleep(0.01)
"""


@pytest.fixture
def often(monkeypatch) -> None:
    monkeypatch.setattr(memory, "_SAMPLE_SECONDS", 0.01)


@pytest.fixture
def marks(often, monkeypatch, tmp_path) -> list[str]:
    """Arguments of `WAIT`, which ends when it has been sampled."""
    sample, samples = memory._sample, []
    ready, seen = tmp_path / "ready", tmp_path / "seen"

    def note(pid: int) -> memory._Sample:
        samples.extend([pid] * ready.exists())
        if len(samples) > 1:  # what is read after a sample was read once
            seen.touch()
        return sample(pid)

    monkeypatch.setattr(memory, "_sample", note)
    return [str(ready), str(seen)]


def test_peak_of_one_process_is_found_although_it_is_short(marks) -> None:
    code = f"data = b'x' * (200 << 20); del data; {WAIT}"
    job = memory._run_and_sample([sys.executable, "-c", code, *marks])
    assert job.error is None
    assert job.processes == 1
    assert 200 < job.mib < 260
    assert job.store_mib == 0


def test_memory_of_all_descendants_is_added(marks) -> None:
    child = "import subprocess, sys; data = b'x' * (60 << 20); " + (
        "subprocess.run([sys.executable, '-c', *sys.argv[1:]])"
    )
    grandchild = f"data = b'x' * (100 << 20); {WAIT}"
    job = memory._run_and_sample([sys.executable, "-c", child, grandchild, *marks])
    assert job.processes == 2
    assert 160 < job.mib < 220
    assert 100 < job.largest_mib < 130


def test_failed_and_killed_jobs_say_why(often) -> None:
    failed = memory._run_and_sample([sys.executable, "-c", "raise SystemExit('no such network')"])
    assert failed.error == "exit code 1: no such network"
    killed = memory._run_and_sample(
        [sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"]
    )
    assert killed.error is not None
    assert "killed by signal 9" in killed.error


def test_job_is_ended_if_the_measurement_is_interrupted(often, monkeypatch) -> None:
    def interrupt(pid: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(memory, "_sample", interrupt)
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        memory._run_and_sample([sys.executable, "-c", "import time; time.sleep(60)"])
    assert time.monotonic() - started < 30


def test_memory_of_a_local_job_is_that_of_its_process(tmp_path) -> None:
    photos = list(photographs().values())[:1]
    groups = make_groups(photos, tmp_path, (96, 128), 1, 2)
    job = measure_job_memory(groups, 96 * 128, "local", Settings(), "cpu")
    assert job is not None
    assert job.error is None
    assert job.processes == 1
    assert 100 < job.largest_mib < job.mib < 4000  # torch alone takes hundreds
    assert job.seconds > 0
