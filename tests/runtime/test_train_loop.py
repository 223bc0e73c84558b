import json
import os
import signal
import sys
import time
from functools import partial
from pathlib import Path

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
from roi_ray.runtime.train_worker import average_gradients, select_local_batch

# Ray's workers do not import test modules.
ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])


class Descent:
    """Least squares on eight points, by plain gradient descent."""

    def __init__(self, steps, die_at=None, marker=None):
        self.steps = steps
        self._weights = torch.zeros(3, requires_grad=True)
        self._die_at, self._marker = die_at, marker

    def step(self, number):
        if number == self._die_at and not Path(self._marker).exists():
            # Steps are so short that Ray may not have registered a checkpoint yet.
            snapshot = Path(self._marker).with_name("run") / "checkpoint_manager_snapshot.json"
            while not snapshot.exists():
                time.sleep(0.1)
            Path(self._marker).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        points = torch.randn(8, 3, generator=torch.Generator().manual_seed(number))
        batch = torch.stack(list(select_local_batch(list(points))))
        loss = (batch @ self._weights - batch.sum(1)).square().mean()
        loss.backward()
        average_gradients([self._weights])
        with torch.no_grad():
            self._weights -= 0.1 * self._weights.grad
            self._weights.grad = None
        return {"loss": loss.item()}

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
def test_killed_worker_resumes_and_a_finished_run_takes_no_more_steps(tmp_path, ray_cluster):
    options = {"folder": str(tmp_path), "name": "run", "checkpoint_every": 2}
    make = partial(Descent, 6, die_at=4, marker=str(tmp_path / "died"))
    lines = []
    state = fit(make, workers=2, report=lines.append, **options)
    assert (tmp_path / "died").exists()
    assert state["step"] == 6
    torch.testing.assert_close(state["weights"], train_without_ray(6), atol=1e-6, rtol=1e-5)
    starts = [line.split("  ")[0] for line in lines]
    assert starts[0] == "step 2/6"
    assert starts[-1] == "step 6/6"
    # Ray may not have registered the checkpoint of step 4 when the worker died.
    assert {"resumes from step 2", "resumes from step 4"} & set(starts)

    lines.clear()
    again = fit(make, workers=1, report=lines.append, **options)
    assert lines == ["resumes from step 6"]
    assert torch.equal(again["weights"], state["weights"])


class FailingDescent(Descent):
    """A training whose first step raises a permanent error."""

    def __init__(self, steps, folder):
        super().__init__(steps)
        self._folder = folder

    def step(self, number):
        with (self._folder / "failed").open("a") as file:
            file.write(f"step {number}\n")
        raise ManifestError(f"row 7 is no good in step {number}")


def test_run_is_resumed_by_another_release_but_not_by_another_training_version_whose_error_is_kept(
    tmp_path, ray_cluster, monkeypatch
):
    def train(make, version):
        lines = []
        name = make_run_name("descent", version, {"steps": 2})
        fit(make, folder=str(tmp_path), name=name, report=lines.append)
        return [line.split("  ")[0] for line in lines]

    descent = partial(Descent, 2)
    assert train(descent, version=1) == ["step 2/2"]
    (metadata,) = tmp_path.glob("descent-*/checkpoint_*/.metadata.json")
    assert json.loads(metadata.read_text())["roi_ray"] == roi_ray.__version__
    monkeypatch.setattr(roi_ray, "__version__", "99.0.0")
    assert train(descent, version=1) == ["resumes from step 2"]
    # A resumed run would take no step, and so meet no error.
    with pytest.raises(ManifestError, match="row 7 is no good in step 0"):
        train(partial(FailingDescent, 2, tmp_path), version=2)
    assert (tmp_path / "failed").read_text() == "step 0\n"  # a permanent error is not retried


def test_run_name_changes_with_the_settings():
    first, same, other = (make_run_name("run", 1, {"seed": seed}) for seed in (1, 1, 2))
    assert first == same != other
    assert first.startswith("run-")


def test_checkpoint_folder_is_runs_beside_the_output():
    assert default_checkpoint_folder("out/n.safetensors") == "out/runs"
    assert default_checkpoint_folder("s3://models/2026/n.safetensors") == "s3://models/2026/runs"


def fail_to_make(folder):
    """Raise a transient error the first time on each rank, then a permanent one."""
    rank = ray.train.get_context().get_world_rank()
    if not (folder / f"unavailable-{rank}").exists():
        (folder / f"unavailable-{rank}").touch()
        raise StorageUnavailable("no answer")
    (folder / f"failed-{os.getpid()}").touch()
    raise ManifestError("row 7 is no good")


@pytest.mark.long
def test_unavailable_storage_is_retried_and_a_permanent_error_is_not(tmp_path, ray_cluster):
    with pytest.raises(ManifestError, match="row 7 is no good"):
        fit(partial(fail_to_make, tmp_path), folder=str(tmp_path), name="run", workers=2)
    assert 1 <= len(list(tmp_path.glob("failed-*"))) <= 2
    assert list(tmp_path.glob("unavailable-*"))


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


@pytest.mark.long
def test_more_workers_than_cpus_give_the_same_weights(tmp_path, ray_cluster):
    state = fit(partial(Descent, 2), folder=str(tmp_path), name="run", workers=4, report=print)
    torch.testing.assert_close(state["weights"], train_without_ray(2), atol=1e-6, rtol=1e-5)


def test_missing_gpu_in_a_local_ray_is_a_device_error(tmp_path, ray_cluster):
    token = cluster._started_here.set(True)
    try:
        with pytest.raises(DeviceError, match="no GPU for each of 1 workers: Ray sees 0 on this"):
            fit(partial(Descent, 2), folder=str(tmp_path), name="run", use_gpu=True)
    finally:
        cluster._started_here.reset(token)
