"""Plan the memory of a job's processes on Ray: fewer actors where all of them do not fit."""

import os
import sys
from collections.abc import Sequence
from dataclasses import replace

from roi_ray.runtime.available import format_bytes, read_available_memory
from roi_ray.runtime.cluster import Device, WorkerPlan
from roi_ray.runtime.device import find_device
from roi_ray.runtime.fit import Demand, Node, choose_object_store, fit_workers
from roi_ray.runtime.logs import LOGGER

_SMALLEST_STORE = 256 << 20
_LARGEST_STORE_OF_MACOS = 2 << 30  # Ray's own limit
_LARGEST_STORE_ON_DISK = 10**10
"""Above this, Ray does not start with an object store that is larger than /dev/shm."""
_SHARED_MEMORY = "/dev/shm"


def find_local_device(device: Device) -> Device:
    """Return the device that `auto` stands for on this machine."""
    if device != "auto":
        return device
    return "cuda" if find_device("auto").type == "cuda" else "cpu"


def local_object_store(demands: Sequence[Demand]) -> int | None:
    """Return the bytes of the object store of a local Ray that leave most memory to its processes.

    Args:
        demands: from the largest to the smallest.

    Returns:
        bytes; None if Ray's default is as good.
    """
    size = choose_object_store(read_available_memory(), os.cpu_count() or 1, demands)
    if size is None:
        return None
    return min(max(size, _SMALLEST_STORE), _read_largest_store())


def _read_largest_store() -> int:
    """Return the largest object store with which a local Ray starts."""
    if sys.platform == "darwin":
        return _LARGEST_STORE_OF_MACOS
    file_system = os.statvfs(_SHARED_MEMORY)
    # A margin, because others may use it too; Ray's default leaves the same.
    shared = int(0.95 * file_system.f_bavail * file_system.f_frsize)
    return max(shared, _LARGEST_STORE_ON_DISK)


def limit_to_memory(
    workers: WorkerPlan, actors: int | None, demands: Sequence[Demand], *, can_grow: bool
) -> WorkerPlan:
    """Lower the number of actors to those that the nodes have memory for.

    Each process asks Ray for what is planned for it, so that Ray never starts more than fit. It is
    never more than a node has: such a process would wait for ever.

    Args:
        workers: the plan by CPUs and GPUs.
        actors: the number of actors that the user asks for, which is kept.
        demands: from the largest images to smaller ones.
        can_grow: whether the cluster may still get more nodes.
    """
    nodes = read_nodes(workers)
    if not any(node.slots for node in nodes):
        return workers  # all nodes are still to come
    fit = fit_workers(nodes, demands, None if can_grow else actors)
    if fit is None:
        smallest, count = demands[-1], actors or 1
        LOGGER.warning(
            "there is little memory for %s of %s: %s",
            f"{count} scoring actors" if count > 1 else "a scoring actor",
            format_bytes(smallest.actor),
            "use fewer --actors" if count > 1 else "stop other programs, or use --engine local",
        )
        return replace(workers, actors=count, initial_actors=count, decoders=1, demand=smallest)
    count = fit.actors if actors is None else actors
    if fit.demand.pixels < demands[0].pixels:
        LOGGER.warning(
            "the memory allows %d scoring actors for images of %.1f megapixels; larger ones, of up "
            "to %.1f, are scored one at a time%s",
            count,
            fit.demand.pixels / 1e6,
            demands[0].pixels / 1e6,
            ": fewer --actors would be faster" if count > 1 else "",
        )
    elif count < workers.actors:
        LOGGER.info(
            "%d scoring actors instead of %d: each takes up to %s for images of %.1f megapixels",
            count,
            workers.actors,
            format_bytes(fit.demand.actor),
            fit.demand.pixels / 1e6,
        )
    return replace(
        workers,
        actors=count,
        initial_actors=min(count, fit.actors),
        threads=_spread_threads(nodes, count) if workers.device == "cpu" else workers.threads,
        actor_resources={**workers.actor_resources, "memory": fit.demand.actor},
        decode_resources={**workers.decode_resources, "memory": fit.demand.decoder},
        decoders=None if can_grow else fit.decoders,
        demand=fit.demand,
    )


def read_nodes(workers: WorkerPlan) -> list[Node]:
    """Read what the living nodes of the cluster have."""
    import ray

    gpus_per_actor = workers.actor_resources.get("num_gpus", 0)
    nodes = []
    for node in ray.nodes():
        if not node["Alive"]:
            continue
        resources = node["Resources"]
        cpus = int(resources.get("CPU", 0))
        slots = cpus
        if gpus_per_actor:
            slots = int(resources.get("GPU", 0)) * int(1 / gpus_per_actor + 1e-9)
        memory = int(resources.get("memory", 0))
        nodes.append(Node(slots, cpus, memory, int(resources.get("object_store_memory", 0))))
    return nodes


def _spread_threads(nodes: Sequence[Node], actors: int) -> int:
    """Return the threads of each actor with which all CPUs are busy."""
    return max(1, round(sum(node.cpus for node in nodes) / actors))
