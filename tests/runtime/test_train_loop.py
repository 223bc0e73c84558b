import json
import os
import signal
import sys
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

import psutil
import pytest
import ray
import torch

import roi_ray
from roi_ray.errors import DeviceError, ManifestError, StorageUnavailable
from roi_ray.runtime import cluster
from roi_ray.runtime.train_loop import (
    cpus_per_worker,
    default_checkpoint_folder,
    fit,
    make_run_name,
)
from roi_ray.runtime.train_worker import (
    average_gradients,
    rank_and_world_size,
    select_local_batch,
)

# Ray's workers do not import test modules.
ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])


class Descent:
    """Least squares on eight points, by plain gradient descent.

    Args:
        steps: number of steps.
        fail_at: step in which storage is unavailable to one worker, once.
        marker: file that shows that it was.
    """

    def __init__(self, steps, fail_at=None, marker=None):
        self.steps = steps
        self._weights = torch.zeros(3, requires_grad=True)
        self._fail_at, self._marker = fail_at, marker

    def step(self, number):
        if number == self._fail_at and rank_and_world_size() == (1, 2) and self._is_first_time():
            raise StorageUnavailable("no answer")
        points = torch.randn(8, 3, generator=torch.Generator().manual_seed(number))
        batch = torch.stack(list(select_local_batch(list(points))))
        loss = (batch @ self._weights - batch.sum(1)).square().mean()
        loss.backward()
        average_gradients([self._weights])
        with torch.no_grad():
            self._weights -= 0.1 * self._weights.grad
            self._weights.grad = None
        return {"loss": loss.item()}

    def _is_first_time(self):
        if Path(self._marker).exists():
            return False
        # Steps are so short that Ray may not have registered a checkpoint yet.
        folder = Path(self._marker).parent
        while not list(folder.glob("run-*/checkpoint_manager_snapshot.json")):
            time.sleep(0.1)
        Path(self._marker).touch()
        return True

    def state(self):
        return {"weights": self._weights.detach()}

    def load(self, state):
        with torch.no_grad():
            self._weights.copy_(state["weights"])


def train_without_ray(steps):
    training = Descent(steps)
    for number in range(steps):
        training.step(number)
    return training.state()["weights"]


@pytest.mark.long
def test_failed_run_is_resumed_also_by_another_release_but_not_by_another_training_version(
    tmp_path, ray_cluster, monkeypatch
):
    lines = []

    def train(make, version, workers):
        lines.clear()
        options = {"folder": str(tmp_path), "checkpoint_every": 2, "report": lines.append}
        return fit(make, name=make_run_name("run", version, {}), workers=workers, **options)

    # Unavailable storage is retried. tests/e2e/test_train_job.py kills a worker instead.
    make = partial(Descent, 6, fail_at=4, marker=str(tmp_path / "failed"))
    state = train(make, version=1, workers=2)
    assert (tmp_path / "failed").exists()
    assert state["step"] == 6
    torch.testing.assert_close(state["weights"], train_without_ray(6), atol=1e-6, rtol=1e-5)
    starts = [line.split("  ")[0] for line in lines]
    assert starts[0] == "step 2/6"
    assert starts[-1] == "step 6/6"
    # Ray may not have registered the checkpoint of step 4 when the worker failed.
    assert {"resumes from step 2", "resumes from step 4"} & set(starts)
    # The checkpoint of step 4 stays if Ray did not register it.
    metadata = [*tmp_path.glob("run-*/checkpoint_*/.metadata.json")]
    assert {json.loads(file.read_text())["roi_ray"] for file in metadata} == {roi_ray.__version__}

    # A finished run takes no more steps.
    monkeypatch.setattr(roi_ray, "__version__", "99.0.0")
    again = train(make, version=1, workers=1)
    assert lines == ["resumes from step 6"]
    assert torch.equal(again["weights"], state["weights"])

    # A resumed run would make nothing that fails. A permanent error is not retried.
    with pytest.raises(ManifestError, match="row 7 is no good in step 0"):
        train(partial(FailingDescent, tmp_path), version=2, workers=2)
    assert 1 <= len(list(tmp_path.glob("failed-*"))) <= 2


@pytest.mark.long
def test_control_c_ends_a_run_and_its_workers(tmp_path, ray_cluster):
    lines = []

    def report(line):
        lines.append(line)
        if line.startswith("step 2/"):
            os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    make = partial(SlowDescent, 10**6)
    with pytest.raises(KeyboardInterrupt):
        fit(make, folder=str(tmp_path), name="run", checkpoint_every=2, report=report)
    assert lines[-1] == "stopped; the same command resumes from the last checkpoint"
    assert signal.getsignal(signal.SIGINT) == before
    deadline = time.monotonic() + 60
    while find_processes("RayTrainWorker") or ray.available_resources().get("CPU", 0) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.1)


class SlowDescent(Descent):
    """A training that takes long enough for a signal to reach it."""

    def step(self, number):
        time.sleep(0.05)
        return super().step(number)


def find_processes(title):
    """Find the processes of this process's Ray that have this title."""
    processes = []
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if title in " ".join(process.cmdline()):
                processes.append(process)
    return processes


class FailingDescent(Descent):
    """A training whose first step raises a permanent error.

    Args:
        folder: gets an empty file for each process that raised it.
    """

    def __init__(self, folder):
        super().__init__(steps=2)
        self._folder = folder

    def step(self, number):
        (self._folder / f"failed-{os.getpid()}").touch()
        raise ManifestError(f"row 7 is no good in step {number}")


def test_run_name_changes_with_the_settings():
    first, same, other = (make_run_name("run", 1, {"seed": seed}) for seed in (1, 1, 2))
    assert first == same != other
    assert first.startswith("run-")


def test_checkpoint_folder_is_runs_beside_the_output():
    assert default_checkpoint_folder("out/n.safetensors") == "out/runs"
    assert default_checkpoint_folder("s3://models/2026/n.safetensors") == "s3://models/2026/runs"


@pytest.mark.parametrize(
    ("nodes", "workers", "cpus"),
    [
        ([16], 1, 16),
        ([16], 3, 5),
        # A worker cannot span nodes.
        ([16, 16], 1, 16),
        ([16, 16], 3, 8),
        ([0, 8], 2, 4),
        ([2], 14, 0.1428),
        ([4, 4], 9, 0.5),
        # The cluster has no nodes with CPUs yet.
        ([0], 4, 1),
        ([], 4, 1),
    ],
)
def test_cpus_per_worker_lets_all_workers_run_at_once(nodes, workers, cpus):
    assert cpus_per_worker(nodes, workers) == cpus


def test_missing_gpu_in_a_local_ray_is_a_device_error(tmp_path, ray_cluster):
    token = cluster._started_here.set(True)
    try:
        with pytest.raises(DeviceError, match="no GPU for each of 1 workers: Ray sees 0 on this"):
            fit(partial(Descent, 2), folder=str(tmp_path), name="run", use_gpu=True)
    finally:
        cluster._started_here.reset(token)
