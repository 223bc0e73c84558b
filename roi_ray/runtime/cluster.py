"""A Ray to run on: the one that is there, or one of our own on this machine."""

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal

from roi_ray.errors import ClusterError, WeightsError

Device = Literal["auto", "cpu", "cuda"]

_FORWARDED = "AWS_"
_SUBMITTED = "RAY_JOB_CONFIG_JSON_ENV_VAR"
_GPU_CHUNKS = 4

_own = ContextVar("own", default=False)
"""Whether the Ray that this process is connected to is one of our own."""


@contextmanager
def connect(*, worker_logs: bool = True, cpus: int | None = None) -> Iterator[bool]:
    """Use the Ray that this process is connected to, else the one at `RAY_ADDRESS`, else start one.

    Under `ray job submit`, `RAY_ADDRESS` is set. The S3 settings of this process's environment are
    handed to the workers of an existing cluster, which do not have them otherwise. The workers of
    a submitted job have what it was submitted with, and Ray takes no second word on that.

    Args:
        worker_logs: print here what the workers print.
        cpus: that a Ray of our own sees; None for those of this machine.

    Yields:
        whether it is one of our own, which gets no other nodes than it has.

    Raises:
        ClusterError: none can be reached or started.
    """
    existing = bool(os.environ.get("RAY_ADDRESS"))
    if not existing:
        # Workers on this machine share this process's Python environment; under `uv run` Ray would
        # have each of them resolve the project again.
        os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    # Ray reads its settings when it is imported.
    import ray

    if ray.is_initialized():
        yield _own.get()
        return
    environment = {}
    if existing and _SUBMITTED not in os.environ:
        environment = {k: v for k, v in os.environ.items() if k.startswith(_FORWARDED)}
    with warnings.catch_warnings():
        # Ray announces a change of defaults for workers that ask for no GPU.
        warnings.simplefilter("ignore", FutureWarning)
        try:
            ray.init(
                # Else Ray would look for one that `ray start` has left running here.
                address=None if existing else "local",
                num_cpus=None if existing else cpus,
                logging_level=logging.ERROR,
                log_to_driver=worker_logs,
                include_dashboard=None if existing else False,
                runtime_env={"env_vars": environment} if environment else None,
            )
        except (ValueError, ConnectionError) as error:
            where = f"RAY_ADDRESS={os.environ['RAY_ADDRESS']}" if existing else "a Ray of its own"
            raise ClusterError(f"cannot use {where}: {error}") from error
    token = _own.set(not existing)
    try:
        yield not existing
    finally:
        _own.reset(token)
        ray.shutdown()


@dataclass(frozen=True)
class WorkerPlan:
    """How the work is spread: what each decode task and each scoring actor asks of Ray.

    Attributes:
        actors: scoring actors, at most.
        initial_actors: how many of them fit into the cluster as it is; autoscaling may bring room.
        device: of each.
        threads: CPU threads of each.
        chunks: that an actor takes at once: a GPU scores those of several references together.
        actor: resources of each, as `map_batches` takes them.
        decode: resources of a decode task; never those of an actor, or Ray would fuse the two and
            decode inside the actor, one after the other.
    """

    actors: int
    initial_actors: int
    device: Device
    threads: int
    chunks_per_batch: int
    actor_resources: dict[str, float]
    decode_resources: dict[str, float]


def plan_workers(
    device: Device, actors: int | None, gpus_per_actor: float = 1.0, *, can_grow: bool = True
) -> WorkerPlan:
    """Spread the work over the cluster as it is now.

    Args:
        device: `cpu`, `cuda`, or `auto`: GPUs if the cluster has any.
        actors: how many, or None for as many as its GPUs hold, or one a CPU where there is none.
        gpus_per_actor: share of a GPU that an actor asks for.
        can_grow: the cluster may get nodes that it does not have yet.

    Raises:
        WeightsError: there is no GPU, and will be none.
    """
    import ray

    resources = ray.cluster_resources()
    gpus = int(resources.get("GPU", 0))
    cpus = max(1, int(resources.get("CPU", 1)))
    if device == "auto":
        device = "cuda" if gpus else "cpu"
    if device != "cpu":
        if not gpus and not can_grow:
            raise WeightsError(f"no device {device!r} here: Ray sees no GPU on this machine")
        room = gpus * int(1 / gpus_per_actor + 1e-9)  # no actor is on two
        actors = actors or max(1, room)
        now = max(1, min(actors, room))
        # All actors together leave half of the CPUs to decoding, or it might never find room; nodes
        # that are yet to come have enough for both.
        half = cpus / 2 if gpus else float(now)
        # Rounded down, as Ray counts in ten-thousandths.
        share = min(1.0, int(10_000 * half / now) / 10_000)
        actor = {"num_cpus": share, "num_gpus": gpus_per_actor}
        return WorkerPlan(
            actors=actors,
            initial_actors=now,
            device=device,
            threads=1,
            chunks_per_batch=_GPU_CHUNKS,
            actor_resources=actor,
            decode_resources={"num_cpus": min(1.0, half)},
        )
    actors = actors or cpus
    # An actor leaves a quarter of its CPU to decoding, so that decode tasks always find room.
    return WorkerPlan(
        actors=actors,
        initial_actors=min(actors, cpus),
        device=device,
        threads=max(1, cpus // actors),
        chunks_per_batch=1,
        actor_resources={"num_cpus": 0.75},
        decode_resources={"num_cpus": 0.25},
    )
