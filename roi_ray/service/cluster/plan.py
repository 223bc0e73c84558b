"""How a service divides a cluster between its processes."""

from dataclasses import dataclass

from roi_ray.runtime.cluster import Device, plan_workers
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
    import ray

    replicas = options.max_replicas or options.replicas
    device: Device = "cpu" if options.device == "cpu" else "cuda"
    if options.device == "auto":
        device = "auto"
    workers = plan_workers(device, replicas, options.gpus_per_replica)
    threads = options.threads_per_replica(workers.device)
    if workers.device == "cuda":
        resources = dict(workers.actor_resources)
        decoders = options.decoders or _DECODERS_PER_GPU_REPLICA * replicas
    else:
        cpus = ray.cluster_resources().get("CPU", 1.0)
        # Rounded down to the ten-thousandths in which Ray counts.
        share = int(10_000 * min(float(threads), cpus / replicas)) / 10_000
        resources = {"num_cpus": share if share < 1 else int(share)}
        decoders = options.decoders or 1
    return ServicePlan(workers.device, threads, resources, decoders)
