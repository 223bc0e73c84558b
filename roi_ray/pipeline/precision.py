"""Decide the precision of a job before it is recorded."""

from contextlib import ExitStack
from dataclasses import replace

import torch

from roi_ray.errors import DeviceError
from roi_ray.io import storage
from roi_ray.pipeline.options import Options
from roi_ray.pipeline.run_record import RUN_JSON, read_run
from roi_ray.pipeline.shard_file import list_shard_files
from roi_ray.runtime.cluster import connect, is_on_this_machine, plan_workers
from roi_ray.runtime.device import find_device
from roi_ray.runtime.logs import LOGGER
from roi_ray.runtime.precision import check_precision, fastest_precision
from roi_ray.settings import Precision, Settings


def resolve_precision(
    settings: Settings, options: Options, output_uri: str, connection: ExitStack
) -> Settings:
    """Replace the precision `auto` by the one that the job is going to use.

    A run has one precision, whatever machines resume it. So `auto` is the precision of the scores
    that the output has; without any, that of `fastest_precision` on the job's device.

    Args:
        settings: settings of the job.
        options: options of the job; the engine is not `auto`.
        output_uri: output of the job.
        connection: keeps the connection to Ray, if the device depends on the cluster.

    Raises:
        ClusterError: Ray cannot be reached or started.
        OutputError: the record of the output cannot be read.
    """
    if settings.precision != "auto":
        return settings
    precision = _read_precision(storage.absolute(output_uri))
    if precision is not None:
        LOGGER.warning("precision auto: %s, in which %s was begun", precision, output_uri)
    else:
        precision = fastest_precision(_find_device_of_job(options, connection))
        error = "" if precision == "fp32" else ": lpips and d_loss are within 2e-3 of fp32's"
        LOGGER.info("precision auto: %s%s", precision, error)
    return replace(settings, precision=precision)


def check_precision_here(
    settings: Settings, options: Options, resumed_uri: str | None = None
) -> None:
    """Refuse a slow precision at once, if the job runs on this machine alone.

    Elsewhere the driver does not know the devices, and the actors refuse it.

    Args:
        settings: settings of the job, from `resolve_precision`.
        options: options of the job; the engine is not `auto`.
        resumed_uri: output that is resumed, and so keeps its precision; None for a new output.

    Raises:
        DeviceError: see `check_precision`; or the device is not available.
    """
    if settings.precision == "fp32" or options.allow_slow_precision:
        return
    if options.engine == "ray" and not is_on_this_machine():
        return
    try:
        check_precision(settings.precision, find_device(options.device))
    except DeviceError as error:
        if resumed_uri is None:
            raise
        raise DeviceError(
            f"{error}\n{resumed_uri} was begun in {settings.precision}, and a run keeps its "
            "precision: resume it on a device that is fast in it, or name another --output"
        ) from error


def _find_device_of_job(options: Options, connection: ExitStack) -> torch.device:
    if options.engine == "local":
        return find_device(options.device)
    if options.device != "auto":
        return torch.device(options.device)
    starts_ray = connection.enter_context(connect())
    plan = plan_workers(options.device, options.actors, can_grow=not starts_ray)
    return torch.device(plan.device)


def _read_precision(uri: str) -> Precision | None:
    """Read the precision of the scores in an output; None if it has no scores."""
    if not storage.is_file(storage.join(uri, *RUN_JSON)) or not any(list_shard_files(uri)):
        return None
    precision: Precision | None = read_run(uri)["config"].get("precision")
    return precision
