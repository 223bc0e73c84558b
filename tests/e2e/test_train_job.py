"""The preference model's training on any number of workers, and with workers that die."""

import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from roi_ray import schema
from roi_ray.preference.comparisons import Comparisons
from roi_ray.preference.distributed import train_model
from roi_ray.preference.examples import to_examples
from roi_ray.preference.model import PreferenceModel, load_preference_model
from tests.e2e.conftest import BUCKET
from tests.preference.synthetic import comparisons

pytestmark = [pytest.mark.e2e, pytest.mark.long]

JOB = Path(__file__).parents[2] / "jobs" / "train.py"


def accuracy(model: PreferenceModel) -> float:
    """On comparisons of other images."""
    others = to_examples(comparisons(references=40, seed=1), schema.FEATURES, "others")
    return float(((model.predict(others.a, others.b) > 0.5) == (others.p_a > 0.5)).mean())


def test_the_number_of_workers_changes_nothing_that_matters(tmp_path: Path, ray_cluster) -> None:
    # Of a number of answers that nothing divides.
    given = Comparisons(comparisons().slice(0, 479), "synthetic", "/", "0" * 64)
    others = to_examples(comparisons(references=40, seed=1), schema.FEATURES, "others")
    found = {}
    for workers in (1, 3):
        model = train_model(
            given,
            schema.FEATURES,
            "paper",
            runs=str(tmp_path / str(workers)),
            workers=workers,
            report=lambda line: None,
        )
        assert model.provenance["workers"] == workers
        assert accuracy(model) > 0.85
        found[workers] = model.predict(others.a, others.b)
    np.testing.assert_allclose(found[3], found[1], atol=1e-3)


def test_a_killed_worker_goes_on_from_its_checkpoint_on_s3(
    tmp_path: Path, s3: dict[str, str]
) -> None:
    pq.write_table(comparisons(references=200), tmp_path / "comparisons.parquet")
    output, log, mark = tmp_path / "model.safetensors", tmp_path / "log", uuid.uuid4().hex
    command = [sys.executable, str(JOB), "--recipe", "paper", "--workers", "2"]
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
    # A checkpoint is registered a moment after its line: the third line says that two are there.
    while log.read_text().count("step ") < 3:
        assert job.poll() is None, log.read_text()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(workers_of(mark)[0], signal.SIGKILL)
    assert job.wait(timeout=240) == 0, log.read_text()
    said = log.read_text()
    assert "resumes from step " in said
    assert said.count("step 625/") == 1
    assert accuracy(load_preference_model(str(output))) > 0.85


def workers_of(mark: str) -> list[int]:
    """The training processes whose environment bears this mark."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            name, environment = ((process / n).read_bytes() for n in ("cmdline", "environ"))
        except OSError:  # it has ended
            continue
        if b"RayTrainWorker" in name and mark.encode() in environment:
            found.append(int(process.name))
    return found
