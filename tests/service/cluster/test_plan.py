"""The share of the cluster that each process of a service gets."""

import ray

from roi_ray.service.cluster import plan
from roi_ray.service.cluster.plan import plan_service
from roi_ray.service.options import ServiceOptions


def test_processes_that_score_fit_on_the_cpus_of_the_cluster(ray_cluster) -> None:
    cpus = ray.cluster_resources()["CPU"]
    for replicas in (1, 2, 3, 8):
        planned = plan_service(ServiceOptions(replicas=replicas, max_replicas=replicas))
        assert (planned.device, planned.decoders) == ("cpu", 1)
        assert planned.threads >= 1
        assert 0 < replicas * planned.scoring_resources["num_cpus"] <= cpus


def test_gpus_are_shared_as_asked(ray_cluster) -> None:
    planned = plan_service(ServiceOptions(device="cuda", replicas=2, gpus_per_replica=0.5))
    assert (planned.device, planned.threads, planned.decoders) == ("cuda", 1, 8)
    assert planned.scoring_resources["num_gpus"] == 0.5


def test_threads_are_those_of_a_node_whatever_this_process_may_use(monkeypatch) -> None:
    node = {"Alive": True, "Resources": {"CPU": 8.0}}
    head, dead = {"Alive": True, "Resources": {}}, {**node, "Alive": False}
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 24.0})
    monkeypatch.setattr(ray, "nodes", lambda: [head, dead, node, node, node])
    monkeypatch.setattr(plan, "is_on_this_machine", lambda: False)
    for replicas, threads in ((1, 8), (3, 8), (4, 4), (24, 1), (48, 1)):
        planned = plan_service(ServiceOptions(device="cpu", replicas=replicas))
        assert planned.threads == threads
        assert planned.scoring_resources["num_cpus"] == min(threads, 24 / replicas)


def test_options_override_the_plan(ray_cluster) -> None:
    planned = plan_service(ServiceOptions(device="cpu", threads=3, decoders=5))
    assert (planned.threads, planned.decoders) == (3, 5)
