"""The engines that run a job's stages, one of which `--engine` selects.

local   in this process: starts at once, on one device
ray     Ray Data: many processes, GPUs and nodes; a file that crashes its decoder is one bad row
"""

import sys
from collections.abc import Iterator
from typing import Literal, Protocol

import pyarrow as pa

from roi_ray.io import storage
from roi_ray.pipeline.output import LOCK_JSON
from roi_ray.runtime.cluster import cluster_address
from roi_ray.runtime.logs import LOGGER


class Engine(Protocol):
    """Runs the stages of one kind of job."""

    def run(self, items: pa.Table, *, isolate: bool = False) -> Iterator[pa.Table]:
        """Run the stages on work items.

        Args:
            items: from `make_work_items`.
            isolate: whether each task gets a single work item.

        Yields:
            tables of the columns `JobKind.results`, in any order. Rows whose process died are
            missing.

        Raises:
            ClusterError: Ray cannot be reached or started.
            DeviceError: no GPU is available.
        """


def choose_engine(
    rows: int, output_uri: str, largest_local: int, reason: str | None = None
) -> Literal["local", "ray"]:
    """Choose the engine of a job with `--engine auto`, and log why.

    Args:
        rows: number of rows of the job.
        output_uri: output of the job.
        largest_local: largest number of rows for which the local engine is as fast as Ray.
        reason: what else makes the job take Ray; None if nothing does.
    """
    if cluster_address() is not None:
        reason = "RAY_ADDRESS names a cluster"
    elif (ray := sys.modules.get("ray")) is not None and ray.is_initialized():
        reason = "this process is connected to a cluster"
    elif reason is None and rows > largest_local:
        reason = f"{rows} rows are more than {largest_local}"
    elif reason is None and storage.is_file(storage.join(storage.absolute(output_uri), *LOCK_JSON)):
        # An image may have crashed its decoder, and with it the local engine.
        reason = "a job of this output was killed, or is running"
    LOGGER.info("engine auto: %s", f"ray, because {reason}" if reason else "local")
    return "ray" if reason else "local"
