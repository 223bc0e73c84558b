"""Connect to Ray, and plan how a job uses a cluster's CPUs and GPUs."""

import gc
import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Literal

from roi_ray.errors import ClusterError, DeviceError
from roi_ray.runtime.fit import Demand
from roi_ray.runtime.ray_address import check_cluster, explain
from roi_ray.runtime.ray_start import (
    explain_os_error,
    separate_process_groups,
    short_folder,
    start_ray,
)
from roi_ray.runtime.signals import hold_signals, keep_sigterm_handler

Device = Literal["auto", "cpu", "cuda"]

_FORWARDED_PREFIXES = ("AWS_", "AZURE_", "GOOGLE_", "STORAGE_EMULATOR_HOST")
_SUBMITTED = "RAY_JOB_CONFIG_JSON_ENV_VAR"  # set under `ray job submit`
_GPU_CHUNKS = 4

_started_here = ContextVar("started_here", default=False)
"""Whether this process started the Ray that it is connected to."""


@contextmanager
def connect(
    *,
    worker_logs: bool = True,
    cpus: int | None = None,
    object_store: int | None = None,
    survive_group_signals: bool = False,
) -> Iterator[bool]:
    """Connect to Ray, and start a local Ray if there is none.

    Uses the Ray that this process is already connected to; else the cluster at `RAY_ADDRESS`, which
    `ray job submit` sets; else a local Ray that lives as long as the context.

    Workers of an existing cluster get this process's variables that hold the settings of storages,
    see `_FORWARDED_PREFIXES`. A submitted job is the exception: its workers have the environment
    that it was submitted with, and Ray ignores variables that are set later.

    Args:
        worker_logs: whether to print the workers' output in this process.
        cpus: CPUs of a local Ray; None for all CPUs of this machine.
        object_store: bytes of the object store of a local Ray; None for Ray's default, a third of
            the available memory.
        survive_group_signals: whether a signal to this process's group does not end a local Ray,
            so that this process can finish its work on it.

    Yields:
        True if this is a local Ray, which never gets more nodes.

    Raises:
        ClusterError: the cluster cannot be reached, or a local Ray cannot be started.
    """
    address = cluster_address()
    if address is None:
        # Under `uv run`, Ray would resolve the project again in each worker. Workers on this
        # machine can use this process's Python environment instead.
        os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    # Imported only now, because Ray reads its settings when it is imported.
    import ray

    if ray.is_initialized():
        yield _started_here.get()
        return
    options: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": worker_logs}
    with ExitStack() as stack:
        with keep_sigterm_handler():
            if address is None:
                sizes = {"num_cpus": cpus, "object_store_memory": object_store}
                groups = separate_process_groups() if survive_group_signals else nullcontext()
                with groups:
                    _start(stack, {**sizes, **options})
            else:
                _join(address, options)
        token = _started_here.set(address is None)
        try:
            yield address is None
        finally:
            _started_here.reset(token)
            # Ray ends the process if one of its objects is freed after it was shut down. A job that
            # failed leaves such objects in reference cycles.
            with hold_signals():
                gc.collect()
            ray.shutdown()


def cluster_address() -> str | None:
    """Return `RAY_ADDRESS`; None for a local Ray."""
    address = os.environ.get("RAY_ADDRESS", "")
    return None if address in ("", "local") else address


def _start(stack: ExitStack, options: dict[str, Any]) -> None:
    """Start a local Ray, whose folder exists as long as the stack is open."""
    try:
        folder = stack.enter_context(short_folder())
    except OSError as error:
        raise ClusterError(f"cannot start a local Ray: {explain_os_error(error)}") from error
    with _ignore_gpu_warning():
        # Without `local`, Ray would connect to a cluster that `ray start` left running here.
        start_ray({"address": "local", "_temp_dir": folder, **options})


def _join(address: str, options: dict[str, Any]) -> None:
    """Connect to an existing cluster."""
    import ray

    environment = {}
    if _SUBMITTED not in os.environ:
        environment = {k: v for k, v in os.environ.items() if k.startswith(_FORWARDED_PREFIXES)}
    try:
        check_cluster(address)
        with _ignore_gpu_warning():
            ray.init(runtime_env={"env_vars": environment} if environment else None, **options)
    except Exception as error:  # also what Ray raises for a Python of another version
        ray.shutdown()
        raise ClusterError(f"cannot use RAY_ADDRESS={address}: {explain(error)}") from error


@contextmanager
def _ignore_gpu_warning() -> Iterator[None]:
    """Ignore Ray's warning that a default will change for workers that ask for no GPU."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        yield


def is_on_this_machine() -> bool:
    """Return whether `connect` uses a local Ray that roi-ray has started or is going to start.

    Another Ray may have workers on other machines, even if this process is connected to it.
    """
    if cluster_address() is not None:
        return False
    import ray

    return not ray.is_initialized() or _started_here.get()


@dataclass(frozen=True)
class WorkerPlan:
    """The actors of a scoring job, and the resources that each actor and task reserves.

    Attributes:
        actors: largest number of scoring actors.
        initial_actors: actors that fit into the cluster as it is; the others may start when the
            cluster grows.
        device: device of each actor.
        threads: CPU threads of each actor.
        chunks_per_batch: chunks that an actor takes at once.
        actor_resources: resources of each actor, as keyword arguments of `map_batches`.
        decode_resources: resources of each decode task. Never equal to `actor_resources`: Ray
            would fuse the two stages and decode inside the actor, one image after the other.
        decoders: largest number of decode tasks at a time; None for as many as the cluster holds.
        demand: the memory that is planned for each process; None if it is not known.
    """

    actors: int
    initial_actors: int
    device: Device
    threads: int
    chunks_per_batch: int
    actor_resources: dict[str, float]
    decode_resources: dict[str, float]
    decoders: int | None = None
    demand: Demand | None = None


def chunks_per_batch(device: str) -> int:
    """Return how many chunks to score at once: a GPU scores several references together."""
    return _GPU_CHUNKS if device == "cuda" else 1


def plan_workers(
    device: Device, actors: int | None, gpus_per_actor: float = 1.0, *, can_grow: bool = True
) -> WorkerPlan:
    """Divide the cluster's CPUs and GPUs between scoring actors and decode tasks.

    Args:
        device: `cpu`, `cuda`, or `auto` for GPUs if the cluster has any.
        actors: largest number of actors; None for as many as fit on the GPUs, or one per CPU on a
            cluster without GPUs.
        gpus_per_actor: share of a GPU that each actor reserves.
        can_grow: whether the cluster may still get more nodes.

    Raises:
        DeviceError: `device` is `cuda`, but the cluster has no GPU and cannot grow.
    """
    import ray

    resources = ray.cluster_resources()
    gpus = int(resources.get("GPU", 0))
    cpus = max(1, int(resources.get("CPU", 1)))
    if device == "auto":
        device = "cuda" if gpus else "cpu"
    if device == "cpu":
        actors = actors or cpus
        return WorkerPlan(
            actors=actors,
            initial_actors=min(actors, cpus),
            device=device,
            threads=max(1, cpus // actors),
            chunks_per_batch=chunks_per_batch(device),
            # The quarter of a CPU that an actor leaves free always has room for a decode task.
            actor_resources={"num_cpus": 0.75},
            decode_resources={"num_cpus": 0.25},
        )
    if not gpus and not can_grow:
        raise DeviceError(
            f"device {device!r} is not available: Ray sees no GPU on this machine; "
            "use the device 'cpu' or 'auto'"
        )
    slots = gpus * int(1 / gpus_per_actor + 1e-9)  # an actor cannot span two GPUs
    actors = actors or max(1, slots)
    initial_actors = max(1, min(actors, slots))
    # The actors together leave half of the CPUs to decode tasks, which might otherwise never start.
    # Nodes that are added later have enough CPUs for both.
    actor_cpus = cpus / 2 if gpus else float(initial_actors)
    # Rounded down to the ten-thousandths in which Ray counts.
    share = min(1.0, int(10_000 * actor_cpus / initial_actors) / 10_000)
    return WorkerPlan(
        actors=actors,
        initial_actors=initial_actors,
        device=device,
        threads=1,
        chunks_per_batch=chunks_per_batch(device),
        actor_resources={"num_cpus": share, "num_gpus": gpus_per_actor},
        decode_resources={"num_cpus": min(1.0, actor_cpus)},
    )
