"""Plans for nodes of several sizes, which a real Ray reports."""

import logging
import os
import subprocess
import sys
import tempfile

import pytest
import ray

from roi_ray.metrics import strips
from roi_ray.pipeline.memory_plan import MemoryPlan
from roi_ray.runtime import worker_memory
from roi_ray.runtime.cluster import plan_workers
from roi_ray.runtime.worker_memory import limit_to_memory, local_object_store

GB = 10**9
PHOTOGRAPH = MemoryPlan(24_000_000, 8, frozenset({"PNG", "JPEG"}), "st-alex", 8)
THUMBNAIL = PHOTOGRAPH._replace(pixels=100_000)


@pytest.fixture
def nodes(monkeypatch):
    """Set the nodes that Ray reports: CPUs, GPUs, gigabytes of memory and of the object store."""

    def set_nodes(*sizes: tuple[float, float, float, float]) -> None:
        table = [
            {
                "Alive": True,
                "Resources": {
                    "CPU": cpus,
                    "GPU": gpus,
                    "memory": memory * GB,
                    "object_store_memory": store * GB,
                },
            }
            for cpus, gpus, memory, store in sizes
        ]
        total = {
            name: sum(node["Resources"][name] for node in table)
            for name in ("CPU", "GPU", "memory")
        }
        monkeypatch.setattr(ray, "nodes", lambda: table)
        monkeypatch.setattr(ray, "cluster_resources", lambda: total)

    return set_nodes


def plan(memory: MemoryPlan, actors: int | None = None, *, can_grow: bool = False):
    workers = plan_workers("auto", actors, can_grow=can_grow)
    demands = list(memory.demands(workers.device))
    return limit_to_memory(workers, actors, demands, can_grow=can_grow)


@pytest.fixture(autouse=True)
def score_in_strips(monkeypatch) -> None:
    """Score images of more than a megapixel in strips."""
    monkeypatch.setattr(strips, "WHOLE_PIXELS", 1 << 20)


LAPTOP, DESKTOP = (8, 0, 3.7, 1.3), (8, 0, 11, 4)


@pytest.mark.parametrize("memory", [THUMBNAIL, PHOTOGRAPH])
@pytest.mark.parametrize("size", [LAPTOP, DESKTOP, (64, 0, 160, 60)])
def test_actors_and_decode_tasks_fit_into_a_machine(nodes, size, memory) -> None:
    nodes(size)
    workers = plan(memory)
    assert workers.demand.pixels == memory.pixels
    assert 1 <= workers.actors <= size[0]
    assert workers.decoders >= 1
    used = (
        workers.actors * workers.actor_resources["memory"]
        + workers.decoders * workers.decode_resources["memory"]
    )
    assert 0.3 * size[2] * GB < used < size[2] * GB
    assert abs(workers.threads * workers.actors - size[0]) < size[0] / 2


def test_the_users_number_of_actors_is_kept(nodes, caplog) -> None:
    nodes(LAPTOP)
    with caplog.at_level(logging.WARNING, "roi_ray"):
        workers = plan(PHOTOGRAPH, 3)
    assert workers.actors == 3
    assert workers.demand.pixels < PHOTOGRAPH.pixels
    assert "fewer --actors would be faster" in caplog.text
    assert 3 * workers.actor_resources["memory"] < LAPTOP[2] * GB
    caplog.clear()
    workers = plan(PHOTOGRAPH, 8)
    assert "little memory for 8 scoring actors" in caplog.text
    assert "use fewer --actors" in caplog.text
    assert "memory" not in workers.actor_resources


def test_a_machine_too_small_for_one_actor_gets_one_and_other_advice(nodes, caplog) -> None:
    nodes((2, 0, 0.5, 0.1))
    with caplog.at_level(logging.WARNING, "roi_ray"):
        assert plan(PHOTOGRAPH).actors == 1
    assert "little memory for a scoring actor" in caplog.text
    assert "--actors" not in caplog.text


def test_a_cluster_that_grows_gets_actors_on_later_nodes(nodes) -> None:
    nodes((2, 0, 6.5, 3), (2, 0, 6.5, 3))
    workers = plan(PHOTOGRAPH, 12, can_grow=True)
    assert (workers.actors, workers.initial_actors) == (12, 4)
    assert workers.demand.pixels == PHOTOGRAPH.pixels
    assert workers.decoders is None


def test_no_memory_is_asked_for_before_the_first_node_is_there(nodes) -> None:
    nodes((0, 0, 4, 1))  # a head without CPUs
    workers = plan_workers("cpu", 4)
    assert limit_to_memory(workers, 4, list(PHOTOGRAPH.demands("cpu")), can_grow=True) == workers


def test_gpu_nodes_hold_actors_and_their_memory(nodes) -> None:
    nodes((16, 2, 50, 20), (16, 0, 50, 20))
    workers = plan(PHOTOGRAPH)
    assert (workers.device, workers.actors) == ("cuda", 2)
    nodes((16, 4, 14, 9))
    assert 1 <= plan(PHOTOGRAPH).actors < 4


def test_ray_starts_with_the_object_store_of_a_large_machine(monkeypatch) -> None:
    monkeypatch.setattr(worker_memory, "read_available_memory", lambda: 1000 * GB)
    monkeypatch.setattr(os, "cpu_count", lambda: 128)
    size = local_object_store(list(PHOTOGRAPH.demands("cpu")))
    # Ray refuses more than 10 GB that do not fit into /dev/shm.
    assert size <= max(10 * GB, os.statvfs("/dev/shm").f_bavail * os.statvfs("/dev/shm").f_frsize)


def test_object_store_of_a_local_ray() -> None:
    demands = list(PHOTOGRAPH.demands("cpu"))
    size = local_object_store(demands)
    assert size is None or size >= 256 << 20
    assert local_object_store(list(THUMBNAIL.demands("cpu"))) < 8 * GB


REAL_NODES = """
import ray
from ray.cluster_utils import Cluster
from roi_ray.metrics import strips
from roi_ray.runtime.cluster import plan_workers
from roi_ray.runtime.ray_start import more_time
from roi_ray.runtime.worker_memory import limit_to_memory
from tests.runtime.test_worker_memory import GB, PHOTOGRAPH

strips.WHOLE_PIXELS = 1 << 20
with more_time():
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "memory": GB})
    for _ in range(2):
        cluster.add_node(num_cpus=4, memory=4 * GB, object_store_memory=2 * GB)
    ray.init(address=cluster.address)
workers = plan_workers("cpu", None)
workers = limit_to_memory(workers, None, list(PHOTOGRAPH.demands("cpu")), can_grow=True)

@ray.remote(**workers.actor_resources)
class Actor:
    def node(self):
        return ray.get_runtime_context().get_node_id()

@ray.remote(**workers.decode_resources)
def decode():
    return 1

actors = [Actor.remote() for _ in range(workers.actors)]
started = ray.get([actor.node.remote() for actor in actors], timeout=600)
decoded = ray.get([decode.remote() for _ in range(8)], timeout=600)
print(workers.actors, workers.demand.pixels, len(started), sum(decoded))
ray.shutdown()
cluster.shutdown()
"""


@pytest.mark.long
def test_real_nodes_start_what_is_planned() -> None:
    # A short name, because the paths of Ray's sockets are limited.
    with tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp") as folder:
        run = subprocess.run(
            [sys.executable, "-c", REAL_NODES],
            env={**os.environ, "RAY_TMPDIR": folder},
            capture_output=True,
            text=True,
            check=False,
        )
    assert run.returncode == 0, run.stderr[-2000:]
    actors, pixels, started, decoded = map(int, run.stdout.split()[-4:])
    assert (actors, pixels, started, decoded) == (2, PHOTOGRAPH.pixels, 2, 8)
