"""The engines of scoring."""

from contextlib import ExitStack
from dataclasses import replace

import torch

from roi_ray.errors import UsageError
from roi_ray.pipeline.engine import Engine, choose_engine
from roi_ray.pipeline.job import Job
from roi_ray.pipeline.options import Options

LOCAL_PAIRS = 400
"""Largest job that `auto` runs in this process.

On two cores, both engines need 70 s for 480 pairs (512 x 512): Ray starts 12 s later, then takes
0.115 s per pair with a process per core, the local engine 0.14 s. More cores favour Ray.
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
    if asks_for_actors:
        reason = "actors are asked for"
    elif options.device != "cpu" and torch.cuda.device_count() > 1:
        reason = "this machine has several GPUs"
    return replace(options, engine=choose_engine(rows, output_uri, LOCAL_PAIRS, reason))


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
