import os
import subprocess
import sys

import pytest
import ray

from roi_ray.errors import WeightsError
from roi_ray.runtime.cluster import connect, plan_workers


def cluster(monkeypatch, **resources):
    monkeypatch.setattr(ray, "cluster_resources", lambda: resources)


@pytest.mark.parametrize("cpus", [1, 2, 64])
def test_on_cpus_decoding_always_finds_room(monkeypatch, cpus) -> None:
    cluster(monkeypatch, CPU=float(cpus))
    workers = plan_workers("auto", None)
    assert (workers.device, workers.actors, workers.threads) == ("cpu", cpus, 1)
    used = workers.initial_actors * workers.actor_resources["num_cpus"]
    assert cpus - used >= workers.decode_resources["num_cpus"]
    assert workers.actor_resources != workers.decode_resources


def test_fewer_actors_get_more_threads(monkeypatch) -> None:
    cluster(monkeypatch, CPU=8.0)
    assert plan_workers("cpu", 2).threads == 4


def test_on_gpus_an_actor_has_one_to_itself(monkeypatch) -> None:
    cluster(monkeypatch, CPU=32.0, GPU=4.0)
    workers = plan_workers("auto", None)
    assert (workers.device, workers.actors, workers.initial_actors) == ("cuda", 4, 4)
    assert workers.actor_resources == {"num_cpus": 1, "num_gpus": 1}
    assert plan_workers("cpu", None).device == "cpu"


def test_actors_may_share_a_gpu(monkeypatch) -> None:
    cluster(monkeypatch, CPU=32.0, GPU=2.0)
    workers = plan_workers("auto", None, 0.4)
    # Not the five that 2 / 0.4 would be: none is on two GPUs.
    assert (workers.actors, workers.initial_actors) == (4, 4)
    assert workers.actor_resources["num_gpus"] == 0.4


@pytest.mark.parametrize(
    ("cpus", "gpus", "share"),
    [(1, 1, 1), (4, 1, 0.25), (8, 4, 0.5), (16, 1, 1), (2, 8, 0.1), (1, 1, 1 / 3)],
)
def test_beside_gpus_decoding_always_finds_room(monkeypatch, cpus, gpus, share) -> None:
    cluster(monkeypatch, CPU=float(cpus), GPU=float(gpus))
    workers = plan_workers("auto", None, share)
    assert workers.initial_actors == gpus * round(1 / share)
    used = workers.initial_actors * workers.actor_resources["num_cpus"]
    assert cpus - used >= workers.decode_resources["num_cpus"]
    assert workers.actor_resources["num_cpus"] <= 1


def test_a_gpu_that_never_comes_is_not_waited_for(monkeypatch) -> None:
    cluster(monkeypatch, CPU=8.0)
    with pytest.raises(WeightsError, match="no device 'cuda' here"):
        plan_workers("cuda", 1, can_grow=False)
    assert plan_workers("auto", None, can_grow=False).device == "cpu"


def test_gpus_may_still_have_to_come(monkeypatch) -> None:
    cluster(monkeypatch, CPU=8.0)
    workers = plan_workers("cuda", 6)
    assert (workers.actors, workers.initial_actors, workers.device) == (6, 1, "cuda")
    cluster(monkeypatch)
    workers = plan_workers("cuda", 6)
    assert (workers.actor_resources["num_cpus"], workers.decode_resources["num_cpus"]) == (1, 1)


def test_a_ray_that_is_there_is_used_and_left_running(ray_cluster) -> None:
    with connect():
        assert ray.cluster_resources()["CPU"] == 4
    assert ray.is_initialized()


def test_a_ray_that_cannot_be_reached_is_one_message(tmp_path) -> None:
    script = "from roi_ray.runtime.cluster import connect\nwith connect(): pass"
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "RAY_ADDRESS": "nonsense"},
        capture_output=True,
        text=True,
        check=False,
    )
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("roi_ray.errors.ClusterError: cannot use RAY_ADDRESS=nonsense: ")
