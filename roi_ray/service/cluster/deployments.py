"""The processes of a service, as deployments of Ray Serve.

Imports no torch at the top, because processes that decode import this module.
"""

import asyncio
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

from ray import serve

from roi_ray.imaging.pixels import Pixels
from roi_ray.runtime import logs
from roi_ray.runtime.logs import LOGGER
from roi_ray.schema import Failure
from roi_ray.service.backend import CompareAnswer, ImageFile, MaskAnswer, Provenance, ScoreAnswer
from roi_ray.service.cluster.plan import ServicePlan, plan_service
from roi_ray.service.options import ServiceOptions
from roi_ray.service.worker.decode import Role, decode_file, make_limits
from roi_ray.service.worker.reference_store import ReferenceStore
from roi_ray.service.worker.tasks import retry_turn

if TYPE_CHECKING:
    from ray.serve import Application
    from ray.serve.handle import DeploymentHandle
    from starlette.types import ASGIApp

_MANY = 100_000
"""Calls of a process at a time: what the gate lets in waits in the processes, not before them."""
_HEALTH_PERIOD_SECONDS, _HEALTH_TIMEOUT_SECONDS = 2.0, 60.0
_SHUTDOWN_SECONDS = 5.0
_TARGET_REQUESTS = {"cpu": 4, "cuda": 16}
"""Requests in progress per process that scores, above which autoscaling starts another one."""
_UPSCALE_SECONDS, _DOWNSCALE_SECONDS = 10.0, 300.0
_ROUTER = "roi_ray.service.cluster.reference_router.ReferenceRouter"


class Decoder:
    """A process that decodes one file after the other.

    Args:
        max_pixels: largest width times height that is decoded.
    """

    def __init__(self, max_pixels: int) -> None:
        logs.log_to_ray_file()
        self._limits = make_limits(max_pixels)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="decoder")

    async def decode(self, data: bytes, role: Role) -> Pixels | Failure:
        """Decode a file; see `decode_file`."""
        loop = asyncio.get_running_loop()
        decode = partial(decode_file, data, role, self._limits)
        return await retry_turn(lambda: loop.run_in_executor(self._thread, decode))


class References:
    """The process that keeps references that clients sent.

    Args:
        max_bytes: largest sum of their sizes.
    """

    def __init__(self, max_bytes: int) -> None:
        self._store = ReferenceStore(max_bytes)

    async def size(self, sha256: str) -> int | None:
        """Return the bytes of a reference, which then counts as used; None if it is not kept."""
        return self._store.size(sha256)

    async def put(self, reference: ImageFile) -> bool:
        """Keep a reference; return whether it is new."""
        return self._store.put(reference)

    async def get(self, sha256: str) -> ImageFile | None:
        """Return a reference; None if it is not kept."""
        return self._store.get(sha256)


class ScoringReplica:
    """A process that scores; see `ScoringWorker`.

    Args:
        options: how the service runs.
        device: device of the networks.
        threads: CPU threads.
        decoder: handle of `Decoder`.

    Raises:
        WeightsError, DeviceError: see `ScoringWorker`.
    """

    def __init__(
        self, options: ServiceOptions, device: str, threads: int, decoder: "DeploymentHandle"
    ) -> None:
        import torch

        from roi_ray.runtime.memory import keep_freed_memory
        from roi_ray.service.cluster.remote_decoder import RemoteDecoder
        from roi_ray.service.worker.scoring_worker import ScoringWorker

        logs.log_to_ray_file()
        torch.set_num_threads(threads)
        keep_freed_memory()
        decode = RemoteDecoder(decoder, options.limits.max_pixels).decode
        self._worker = ScoringWorker(options, decode, device, on_defect=_end_process)
        self._worker.warm_up()

    async def score(
        self, reference: ImageFile, images: Sequence[ImageFile], mask: ImageFile | None
    ) -> ScoreAnswer | Failure:
        """Score images against one reference."""
        return await self._worker.score(reference, images, mask)

    async def compare(
        self, reference: ImageFile, a: ImageFile, b: ImageFile, mask: ImageFile | None
    ) -> CompareAnswer | Failure:
        """Predict which of two images people prefer."""
        return await self._worker.compare(reference, a, b, mask)

    async def make_mask(self, reference: ImageFile) -> MaskAnswer | Failure:
        """Make the mask of a reference."""
        return await self._worker.make_mask(reference)

    async def describe(self) -> Provenance:
        """Say what makes the numbers of `score`."""
        return await self._worker.describe()

    async def count_images(self) -> int:
        """Return how many images are decoded, wait or are scored."""
        return self._worker.images


def _end_process(error: Exception) -> None:
    """End this process, whose GPU fails: its requests are then sent to another one."""
    LOGGER.error("the process ends, because its GPU does no more work: %s", error)
    os._exit(1)


class Api:
    """A process that talks HTTP.

    Args:
        options: how the service runs.
        scoring: handle of `ScoringReplica`.
        references: handle of `References`.
    """

    def __init__(
        self,
        options: ServiceOptions,
        scoring: "DeploymentHandle",
        references: "DeploymentHandle",
    ) -> None:
        from roi_ray.service.cluster.serve_backend import ServeBackend
        from roi_ray.service.http.api import build_api

        logs.log_to_ray_file()
        self._gate = build_api(ServeBackend(scoring, references, options.reference_bytes), options)

    def __serve_build_asgi_app__(self) -> "ASGIApp":
        """Return the app, which Ray Serve calls for each request."""
        return self._gate

    async def close(self) -> int:
        """Refuse new requests; return how many are in progress."""
        self._gate.close()
        return self._gate.requests

    async def count_requests(self) -> int:
        """Return how many requests are in progress."""
        return self._gate.requests


def build_app(options: ServiceOptions) -> "Application":
    """Build the application of a service, for `serve.run`.

    This process must be connected to the Ray cluster on which the service is going to run.

    Raises:
        DeviceError: see `plan_workers`.
    """
    plan = plan_service(options)
    limits = options.limits
    common = {
        "max_ongoing_requests": _MANY,
        "graceful_shutdown_timeout_s": limits.timeout_seconds + _SHUTDOWN_SECONDS,
        "graceful_shutdown_wait_loop_s": 0.5,
        "health_check_period_s": _HEALTH_PERIOD_SECONDS,
        "health_check_timeout_s": _HEALTH_TIMEOUT_SECONDS,
        "max_constructor_retry_count": 2,
        # Otherwise each call, also of a decoder, is a line in a log.
        "logging_config": {"enable_access_log": False},
    }
    free = {**common, "ray_actor_options": {"num_cpus": 0}}
    decoder = serve.deployment(Decoder, num_replicas=plan.decoders, **free).bind(limits.max_pixels)
    references = serve.deployment(References, num_replicas=1, **free).bind(options.reference_bytes)
    scoring = serve.deployment(ScoringReplica, **common, **_scale(options, plan)).bind(
        options, plan.device, plan.threads, decoder
    )
    api = serve.deployment(serve.ingress()(Api), num_replicas=options.apis, **free)
    application: Application = api.bind(options, scoring, references)
    return application


def _scale(options: ServiceOptions, plan: ServicePlan) -> dict[str, Any]:
    """Return the options of a deployment that say what scores, and how many processes there are."""
    common = {
        "ray_actor_options": plan.scoring_resources,
        "request_router_config": {"request_router_class": _ROUTER},
    }
    if options.max_replicas is None:
        return {**common, "num_replicas": options.replicas}
    scaling = {
        "min_replicas": options.replicas,
        "max_replicas": options.max_replicas,
        "target_ongoing_requests": _TARGET_REQUESTS[plan.device],
        "upscale_delay_s": _UPSCALE_SECONDS,
        "downscale_delay_s": _DOWNSCALE_SECONDS,
    }
    return {**common, "autoscaling_config": scaling}
