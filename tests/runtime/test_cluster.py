import os
import subprocess
import sys

import pytest
import ray

from roi_ray.errors import DeviceError
from roi_ray.runtime.cluster import connect, plan_workers


def fake_cluster(monkeypatch, **resources):
    monkeypatch.setattr(ray, "cluster_resources", lambda: resources)


@pytest.mark.parametrize("cpus", [1, 2, 64])
def test_on_cpus_actors_leave_room_for_a_decode_task(monkeypatch, cpus) -> None:
    fake_cluster(monkeypatch, CPU=float(cpus))
    workers = plan_workers("auto", None)
    assert (workers.device, workers.actors, workers.threads) == ("cpu", cpus, 1)
    used = workers.initial_actors * workers.actor_resources["num_cpus"]
    assert cpus - used >= workers.decode_resources["num_cpus"]
    assert workers.actor_resources != workers.decode_resources


def test_fewer_actors_than_cpus_get_more_threads_each(monkeypatch) -> None:
    fake_cluster(monkeypatch, CPU=8.0)
    assert plan_workers("cpu", 2).threads == 4


def test_on_gpus_each_actor_gets_one_gpu(monkeypatch) -> None:
    fake_cluster(monkeypatch, CPU=32.0, GPU=4.0)
    workers = plan_workers("auto", None)
    assert (workers.device, workers.actors, workers.initial_actors) == ("cuda", 4, 4)
    assert workers.actor_resources == {"num_cpus": 1, "num_gpus": 1}
    assert plan_workers("cpu", None).device == "cpu"


def test_actors_that_share_gpus_never_span_two(monkeypatch) -> None:
    fake_cluster(monkeypatch, CPU=32.0, GPU=2.0)
    workers = plan_workers("auto", None, 0.4)
    # 2 / 0.4 is 5, but the fifth actor would span two GPUs.
    assert (workers.actors, workers.initial_actors) == (4, 4)
    assert workers.actor_resources["num_gpus"] == 0.4


@pytest.mark.parametrize(
    ("cpus", "gpus", "share"),
    [(1, 1, 1), (4, 1, 0.25), (8, 4, 0.5), (16, 1, 1), (2, 8, 0.1), (1, 1, 1 / 3)],
)
def test_on_gpus_actors_leave_room_for_a_decode_task(monkeypatch, cpus, gpus, share) -> None:
    fake_cluster(monkeypatch, CPU=float(cpus), GPU=float(gpus))
    workers = plan_workers("auto", None, share)
    assert workers.initial_actors == gpus * round(1 / share)
    used = workers.initial_actors * workers.actor_resources["num_cpus"]
    assert cpus - used >= workers.decode_resources["num_cpus"]
    assert workers.actor_resources["num_cpus"] <= 1


def test_cuda_without_gpus_in_a_fixed_cluster_is_a_device_error(monkeypatch) -> None:
    fake_cluster(monkeypatch, CPU=8.0)
    with pytest.raises(
        DeviceError, match="device 'cuda' is not available: Ray sees no GPU on this machine"
    ):
        plan_workers("cuda", 1, can_grow=False)
    assert plan_workers("auto", None, can_grow=False).device == "cpu"


def test_cuda_without_gpus_is_planned_for_a_cluster_that_can_grow(monkeypatch) -> None:
    fake_cluster(monkeypatch, CPU=8.0)
    workers = plan_workers("cuda", 6)
    assert (workers.actors, workers.initial_actors, workers.device) == (6, 1, "cuda")
    fake_cluster(monkeypatch)
    workers = plan_workers("cuda", 6)
    assert (workers.actor_resources["num_cpus"], workers.decode_resources["num_cpus"]) == (1, 1)


def test_connect_uses_the_connected_ray_and_leaves_it_running(ray_cluster) -> None:
    with connect():
        assert ray.cluster_resources()["CPU"] == 2
    assert ray.is_initialized()


def test_unreachable_ray_address_is_a_cluster_error(tmp_path) -> None:
    script = "from roi_ray.runtime.cluster import connect\nwith connect(): pass"
    run = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "RAY_ADDRESS": "nonsense"},
        capture_output=True,
        text=True,
        check=False,
    )
    last = run.stderr.strip().splitlines()[-1]
    assert last.startswith("roi_ray.errors.ClusterError: cannot use RAY_ADDRESS=nonsense: ")
