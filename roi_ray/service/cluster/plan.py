"""How a service divides a cluster between its processes."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

from roi_ray.runtime.cluster import Device, is_on_this_machine, plan_workers
from roi_ray.service.options import ServiceOptions

_DECODERS_PER_GPU_REPLICA = 4


@dataclass(frozen=True)
class ServicePlan:
    """The processes of a service.

    Attributes:
        device: device of each process that scores.
        threads: CPU threads of each process that scores.
        scoring_resources: what each process that scores reserves, as options of a Ray actor.
        decoders: processes that decode.
    """

    device: Device
    threads: int
    scoring_resources: dict[str, float]
    decoders: int


def plan_service(options: ServiceOptions) -> ServicePlan:
    """Divide the cluster to which this process is connected.

    Processes that score reserve CPUs and GPUs; the others reserve nothing, so that they start on
    every machine. `auto` chooses GPUs if the cluster has any now.

    Raises:
        DeviceError: see `plan_workers`.
    """
    replicas = options.max_replicas or options.replicas
    device: Device = "cpu" if options.device == "cpu" else "cuda"
    if options.device == "auto":
        device = "auto"
    workers = plan_workers(device, replicas, options.gpus_per_replica)
    cpus = divide_cpus(_find_cpus(), replicas)
    threads = options.threads or (1 if workers.device == "cuda" else max(1, int(cpus)))
    if workers.device == "cuda":
        resources = dict(workers.actor_resources)
        decoders = options.decoders or _DECODERS_PER_GPU_REPLICA * replicas
    else:
        # Rounded down to the ten-thousandths in which Ray counts.
        share = int(10_000 * min(float(threads), cpus)) / 10_000
        resources = {"num_cpus": share if share < 1 else int(share)}
        decoders = options.decoders or 1
    return ServicePlan(workers.device, threads, resources, decoders)


def divide_cpus(nodes: Sequence[float], replicas: int) -> float:
    """Return the CPUs of each process, so that all of them find a place.

    Args:
        nodes: CPUs of each node.
        replicas: number of processes.

    Examples:
        >>> divide_cpus([8.0], 2), divide_cpus([8.0, 8.0, 8.0], 4), divide_cpus([2.0], 4)
        (4.0, 4.0, 0.5)
    """
    return min(nodes) / -(-replicas // len(nodes))


def _find_cpus() -> list[float]:
    """Return the CPUs of each node of the cluster that has any.

    On this machine alone, they are no more than this process may use.
    """
    import ray

    here = float(len(os.sched_getaffinity(0)))
    nodes = [node["Resources"].get("CPU", 0.0) for node in ray.nodes() if node["Alive"]]
    nodes = [cpus for cpus in nodes if cpus] or [here]
    return [min(here, cpus) for cpus in nodes] if is_on_this_machine() else nodes
