"""Training of the preference model on several workers, one of which is killed."""

import os
import signal
import subprocess
import sys
import time
import uuid
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


def test_training_resumes_from_its_checkpoint_on_s3_after_a_worker_is_killed(
    tmp_path: Path, s3: dict[str, str]
) -> None:
    pq.write_table(comparisons(references=80), tmp_path / "comparisons.parquet")
    output, log, mark = tmp_path / "model.safetensors", tmp_path / "log", uuid.uuid4().hex
    command = [sys.executable, str(JOB), "--recipe", "paper", "--workers", "2", "--epochs", "20"]
    command += ["--comparisons", str(tmp_path / "comparisons.parquet"), "--output", str(output)]
    command += ["--runs", f"s3://{BUCKET}/runs"]
    with open(log, "w") as stream:
        job = subprocess.Popen(
            command,
            env={**os.environ, **s3, "ROI_RAY_TEST": mark},
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
    deadline = time.monotonic() + 200
    # A checkpoint is registered a moment after its line is printed: at the third line, two exist.
    while log.read_text().count("step ") < 3:
        assert job.poll() is None, log.read_text()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(find_workers(mark)[0], signal.SIGKILL)
    assert job.wait(timeout=240) == 0, log.read_text()
    lines = log.read_text()
    assert "resumes from step " in lines
    assert lines.count("step 100/") == 1
    assert measure_accuracy(load_preference_model(str(output))) > 0.85


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
