"""The engines of scoring."""

import os
from contextlib import ExitStack
from dataclasses import replace

import torch

from roi_ray.errors import UsageError
from roi_ray.pipeline.engine import Engine, choose_engine
from roi_ray.pipeline.job import Job
from roi_ray.pipeline.options import Options

LOCAL_PAIRS = 400
"""Largest job that `auto` runs in this process."""
LOCAL_PAIRS_ON_FEW_CPUS = 1200
"""The same without a GPU and on at most two CPUs, where Ray's processes win little.

On two CPUs, Ray starts 11 s later and saves 8 ms per pair of 512 x 512, which is made up for after
1,300 pairs; of 256 x 256, 4 ms and 2,700 pairs. More CPUs favour Ray.
"""
_FEW_CPUS = 2


def find_largest_local_job(device: str) -> int:
    """Return the largest number of pairs that `auto` scores in this process.

    Args:
        device: `auto`, `cpu` or `cuda`.
    """
    has_gpu = device != "cpu" and torch.cuda.is_available()
    is_small = not has_gpu and (os.cpu_count() or 1) <= _FEW_CPUS
    return LOCAL_PAIRS_ON_FEW_CPUS if is_small else LOCAL_PAIRS


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
    largest = find_largest_local_job(options.device)
    return replace(options, engine=choose_engine(rows, output_uri, largest, reason))


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
