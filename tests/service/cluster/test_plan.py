"""The share of the cluster that each process of a service gets."""

import ray

from roi_ray.service.cluster.plan import plan_service
from roi_ray.service.options import ServiceOptions


def test_processes_that_score_fit_on_the_cpus_of_the_cluster(ray_cluster) -> None:
    cpus = ray.cluster_resources()["CPU"]
    for replicas in (1, 2, 3, 8):
        plan = plan_service(ServiceOptions(replicas=replicas, max_replicas=replicas))
        assert (plan.device, plan.decoders) == ("cpu", 1)
        assert plan.threads >= 1
        assert 0 < replicas * plan.scoring_resources["num_cpus"] <= cpus


def test_gpus_are_shared_as_asked(ray_cluster) -> None:
    plan = plan_service(ServiceOptions(device="cuda", replicas=2, gpus_per_replica=0.5))
    assert (plan.device, plan.threads, plan.decoders) == ("cuda", 1, 8)
    assert plan.scoring_resources["num_gpus"] == 0.5


def test_options_override_the_plan(ray_cluster) -> None:
    plan = plan_service(ServiceOptions(device="cpu", threads=3, decoders=5))
    assert (plan.threads, plan.decoders) == (3, 5)
