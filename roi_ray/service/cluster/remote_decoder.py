"""Decode files in other processes: a file that kills its decoder is one bad image."""

import asyncio
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from roi_ray.imaging.pixels import Pixels
from roi_ray.runtime import logs
from roi_ray.runtime.logs import LOGGER
from roi_ray.schema import Failure
from roi_ray.service.cluster.handle_calls import call
from roi_ray.service.cluster.process_death import death_errors, make_failure
from roi_ray.service.worker.decode import Role, decode_file, make_limits

if TYPE_CHECKING:
    from ray.serve.handle import DeploymentHandle

_ALONE_AT_ONCE = 2
"""Files that a process decodes in Ray tasks of their own at a time."""


class RemoteDecoder:
    """Decodes files by the deployment `Decoder`.

    If a decoder dies, each file that it had is decoded once more, in a process that has no other
    file. If that one dies too, the file is to blame.

    Args:
        handle: handle of the deployment.
        max_pixels: largest width times height that is decoded.
    """

    def __init__(self, handle: "DeploymentHandle", max_pixels: int) -> None:
        self._handle, self._limits = handle, make_limits(max_pixels)
        self._alone = asyncio.Semaphore(_ALONE_AT_ONCE)

    async def decode(self, data: bytes, role: Role) -> Pixels | Failure:
        """Decode a file; see `decode_file`."""
        try:
            return cast(Pixels | Failure, await call(self._handle, "decode", data, role))
        except death_errors() as error:
            LOGGER.warning("a decoder died: %s", type(error).__name__)
        return await self._decode_alone(data, role)

    async def _decode_alone(self, data: bytes, role: Role) -> Pixels | Failure:
        task = _remote_task()
        async with self._alone:
            try:
                return cast(Pixels | Failure, await task.remote(data, role, self._limits))
            except death_errors():
                return make_failure(
                    "two processes that decoded it died; it is damaged, or the machine has too "
                    "little memory for it"
                )


@cache
def _remote_task() -> Any:  # noqa: ANN401
    """Make the Ray task; once, because Ray exports each one that is made to the cluster."""
    import ray

    # Ray runs one task at a time in a process, and starts another process after a death.
    return ray.remote(num_cpus=0, max_retries=0)(_decode_in_task)


def _decode_in_task(data: bytes, role: Role, limits: Any) -> Pixels | Failure:  # noqa: ANN401
    logs.log_to_ray_file()
    return decode_file(data, role, replace(limits, can_wait=True))  # nobody else needs this thread
