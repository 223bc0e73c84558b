"""The engines that run a job's stages, and the choice between them.

local   a loop in this process: starts at once, on one device
ray     Ray Data: many processes, GPUs and nodes; a file that crashes its decoder is one bad row
"""

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Protocol

import pyarrow as pa
import torch

from roi_ray.errors import UsageError
from roi_ray.io import storage
from roi_ray.pipeline.job import Job
from roi_ray.pipeline.options import Options
from roi_ray.pipeline.output import LOCK_JSON
from roi_ray.runtime.cluster import cluster_address
from roi_ray.runtime.logs import LOGGER

LOCAL_PAIRS = 400
"""Largest job that `auto` runs in this process.

On two cores, both engines need 70 s for 480 pairs (512 x 512): Ray starts 12 s later, then takes
0.115 s per pair with a process per core, the local engine 0.14 s. More cores favour Ray.
"""


class Engine(Protocol):
    """Decodes and scores work items."""

    def score(self, items: pa.Table, *, isolate: bool = False) -> Iterator[pa.Table]:
        """Decode and score work items.

        Args:
            items: from `make_work_items`.
            isolate: whether each task gets a single work item.

        Yields:
            tables of the columns `RESULTS`, in any order. Rows whose process died are missing.

        Raises:
            ClusterError: Ray cannot be reached or started.
            DeviceError: no GPU is available.
        """


def resolve_engine(options: Options, rows: int, output_uri: str) -> Options:
    """Replace the engine `auto` by the one that the job is going to use.

    Args:
        options: options of the job.
        rows: number of pairs of the job.
        output_uri: output of the job.

    Raises:
        UsageError: the local engine cannot do what the options ask for.
    """
    asks_for_actors = options.actors is not None or options.gpus_per_actor != 1
    if options.engine == "local" and asks_for_actors:
        raise UsageError(
            "--actors and --gpus-per-actor are about processes of Ray: leave them out, or use "
            "--engine ray"
        )
    if options.engine != "auto":
        return options
    reason = None
    if cluster_address() is not None:
        reason = "RAY_ADDRESS names a cluster"
    elif (ray := sys.modules.get("ray")) is not None and ray.is_initialized():
        reason = "this process is connected to a cluster"
    elif asks_for_actors:
        reason = "actors are asked for"
    elif rows > LOCAL_PAIRS:
        reason = f"{rows} pairs are more than {LOCAL_PAIRS}"
    elif options.device != "cpu" and torch.cuda.device_count() > 1:
        reason = "this machine has several GPUs"
    elif storage.is_file(storage.join(storage.absolute(output_uri), *LOCK_JSON)):
        # An image may have crashed its decoder, and with it the local engine.
        reason = "a job of this output was killed, or is running"
    LOGGER.info("engine auto: %s", f"ray, because {reason}" if reason else "local")
    return replace(options, engine="ray" if reason else "local")


def make_engine(job: Job, connection: ExitStack) -> Engine:
    """Make the engine that the job's options name, which is not `auto`.

    Args:
        job: what to run.
        connection: keeps the connection to Ray, if the engine makes one.
    """
    if job.options.engine == "local":
        from roi_ray.pipeline.local_engine import LocalEngine

        return LocalEngine(job)
    from roi_ray.pipeline.ray_engine import RayEngine

    return RayEngine(job, connection)
