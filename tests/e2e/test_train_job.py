"""Training of the preference model on several workers: one is killed, the job is stopped."""

import os
import re
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from roi_ray import schema
from roi_ray.preference.comparisons.examples import to_examples
from roi_ray.preference.model.preference_model import PreferenceModel, load_preference_model
from tests.preference.synthetic import comparisons
from tests.s3_server import BUCKET

pytestmark = [pytest.mark.e2e, pytest.mark.long]

JOB = Path(__file__).parents[2] / "jobs" / "train.py"


def measure_accuracy(model: PreferenceModel) -> float:
    """Return a model's accuracy on comparisons of other images."""
    others = to_examples(comparisons(references=40, seed=1), schema.PAPER_FEATURES, "others")
    return float(((model.predict(others.a, others.b) > 0.5) == (others.p_a > 0.5)).mean())


def test_training_resumes_from_s3_after_a_worker_is_killed_and_after_sigterm(
    tmp_path: Path, s3: dict[str, str]
) -> None:
    pq.write_table(comparisons(references=80), tmp_path / "comparisons.parquet")
    output, log, mark = tmp_path / "model.safetensors", tmp_path / "log", uuid.uuid4().hex
    command = [sys.executable, str(JOB), "--recipe", "paper", "--workers", "2", "--epochs", "20"]
    command += ["--comparisons", str(tmp_path / "comparisons.parquet"), "--output", str(output)]
    command += ["--runs", f"s3://{BUCKET}/runs"]
    environment = {**os.environ, **s3, "ROI_RAY_TEST": mark}
    with start(command, log, environment) as job:
        # A checkpoint is registered a moment after its line: at the third line, two exist.
        wait_for_steps(job, log, 3)
        os.kill(find_workers(mark)[0], signal.SIGKILL)
        wait_for_steps(job, log, 1, after="resumes from step ")
        job.terminate()
        assert job.wait(timeout=240) == 143, log.read_text()
    first = log.read_text()
    assert first.endswith("\nstopped; the same command resumes from the last checkpoint\n")
    assert "Traceback" not in first and "SIGTERM" not in first
    assert not find_workers(mark)

    with start(command, log, environment) as job:
        assert job.wait(timeout=240) == 0, log.read_text()
    lines = log.read_text()
    assert "resumes from step " in lines
    assert lines.count("step 1000/1000") == 1
    assert measure_accuracy(load_preference_model(str(output))) > 0.85


@contextmanager
def start(
    command: list[str], log: Path, environment: dict[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    with open(log, "w") as stream:
        job = subprocess.Popen(command, env=environment, stdout=stream, stderr=subprocess.STDOUT)
    with job:
        yield job


def wait_for_steps(job: subprocess.Popen[bytes], log: Path, count: int, after: str = "") -> None:
    """Wait until a job has printed this text, and some lines of steps after it."""
    deadline = time.monotonic() + 200
    while len(re.findall("^step ", find_rest(log, after), re.MULTILINE)) < count:
        assert job.poll() is None, log.read_text()
        assert time.monotonic() < deadline
        time.sleep(0.05)


def find_rest(log: Path, after: str) -> str:
    text = log.read_text()
    return text[text.index(after) :] if after in text else ""


def find_workers(mark: str) -> list[int]:
    """Return the training processes whose environment contains this mark."""
    pids = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            name, environment = ((process / n).read_bytes() for n in ("cmdline", "environ"))
        except OSError:  # the process has ended
            continue
        if b"RayTrainWorker" in name and mark.encode() in environment:
            pids.append(int(process.name))
    return pids
