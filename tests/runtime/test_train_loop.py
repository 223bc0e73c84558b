import os
import signal
import sys
import time
from functools import partial
from pathlib import Path

import pytest
import ray
import torch

from roi_ray.errors import ManifestError, RoiRayError, StorageUnavailable, WeightsError
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
            # Steps are so short that no checkpoint may have been registered yet.
            registered = Path(self._marker).with_name("run") / "checkpoint_manager_snapshot.json"
            while not registered.exists():
                time.sleep(0.1)
            Path(self._marker).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        points = torch.randn(8, 3, generator=torch.Generator().manual_seed(number))
        mine = torch.stack(list(select_local_batch(list(points))))
        loss = (mine @ self._weights - mine.sum(1)).square().mean()
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


def alone(steps):
    training = Descent(steps)
    for number in range(steps):
        training.step(number)
    return training.state()["weights"]


@pytest.mark.long
def test_a_killed_worker_costs_nothing_and_a_finished_run_is_not_done_again(tmp_path, ray_cluster):
    make = partial(Descent, 6, die_at=4, marker=str(tmp_path / "died"))
    lines = []
    state = fit(
        make, folder=str(tmp_path), name="run", workers=2, checkpoint_every=2, report=lines.append
    )
    assert (tmp_path / "died").exists()
    assert state["step"] == 6
    torch.testing.assert_close(state["weights"], alone(6), atol=1e-6, rtol=1e-5)
    said = [line.split("  ")[0] for line in lines]
    assert said[0] == "step 2/6"
    assert said[-1] == "step 6/6"
    # That of step 4 may not have been registered yet when the worker died.
    assert {"resumes from step 2", "resumes from step 4"} & set(said)

    lines.clear()
    again = fit(
        make, folder=str(tmp_path), name="run", workers=1, checkpoint_every=2, report=lines.append
    )
    assert lines == ["resumes from step 6"]
    assert torch.equal(again["weights"], state["weights"])


def test_other_settings_are_another_run():
    one, same, other = (make_run_name("run", 1, {"seed": seed}) for seed in (1, 1, 2))
    assert one == same != other
    assert one.startswith("run-")


def test_checkpoints_go_where_the_nodes_see_them():
    assert default_checkpoint_folder("out/n.safetensors") == "out/runs"
    assert default_checkpoint_folder("s3://models/2026/n.safetensors") == "s3://models/2026/runs"


def refuse(folder, passes):
    """Raises what may pass, the first time in a process of a rank; then what will not."""
    rank = ray.train.get_context().get_world_rank()
    if passes and not (folder / f"passed-{rank}").exists():
        (folder / f"passed-{rank}").touch()
        raise StorageUnavailable("no answer")
    (folder / f"refused-{os.getpid()}").touch()
    raise ManifestError("row 7 is no good")


@pytest.mark.parametrize(
    ("workers", "passes"), [(1, False), pytest.param(2, True, marks=pytest.mark.long)]
)
def test_what_a_worker_raises_on_purpose_arrives_as_it_is(tmp_path, ray_cluster, workers, passes):
    make = partial(refuse, tmp_path, passes)
    with pytest.raises(ManifestError, match="row 7 is no good"):
        fit(make, folder=str(tmp_path), name="run", workers=workers)
    # What may pass is tried again, and what will not is not.
    assert 1 <= len(list(tmp_path.glob("refused-*"))) <= workers
    assert bool(list(tmp_path.glob("passed-*"))) is passes


def test_a_share_of_a_batch():
    assert select_local_batch([1, 2, 3]) == [1, 2, 3]  # no workers: all of it


def test_a_batch_that_cannot_be_divided(monkeypatch):
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 3)
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: 1)
    assert select_local_batch([1, 2, 3, 4, 5, 6]) == [3, 4]
    with pytest.raises(RoiRayError, match="a batch of 8 cannot be divided among 3 workers"):
        select_local_batch(list(range(8)))


@pytest.mark.parametrize(
    ("nodes", "workers", "cpus"),
    [
        ([16], 1, 16),
        ([16], 3, 5),
        # What all nodes have together, no node may have.
        ([16, 16], 1, 16),
        ([16, 16], 3, 8),
        ([0, 8], 2, 4),
        ([2], 14, 0.1428),
        ([4, 4], 9, 0.5),
        # A cluster that is yet to come.
        ([0], 4, 1),
        ([], 4, 1),
    ],
)
def test_every_worker_finds_room(nodes, workers, cpus):
    assert cpus_per_worker(nodes, workers) == cpus


@pytest.mark.long
def test_more_workers_than_cpus(tmp_path, ray_cluster):
    state = fit(partial(Descent, 2), folder=str(tmp_path), name="run", workers=4, report=print)
    torch.testing.assert_close(state["weights"], alone(2), atol=1e-6, rtol=1e-5)


def test_a_gpu_that_will_never_come_is_told(tmp_path, ray_cluster):
    ours = cluster._own.set(True)
    try:
        with pytest.raises(WeightsError, match="no GPU for each of 1 workers: Ray sees 0 here"):
            fit(alone, folder=str(tmp_path), name="run", use_gpu=True)
    finally:
        cluster._own.reset(ours)
