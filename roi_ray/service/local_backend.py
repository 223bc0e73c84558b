"""Compute answers in this process, without Ray: for tests, and for small use."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from roi_ray.imaging.pixels import Pixels
from roi_ray.schema import Failure
from roi_ray.service.backend import ImageFile
from roi_ray.service.options import ServiceOptions
from roi_ray.service.worker.decode import Role, decode_file, make_limits
from roi_ray.service.worker.reference_store import ReferenceStore
from roi_ray.service.worker.scoring_worker import ScoringWorker
from roi_ray.service.worker.tasks import retry_turn


class LocalBackend:
    """A `Backend` in this process. A file that kills its decoder kills the process.

    Args:
        options: how the service runs; numbers of processes do not count, and the threads are those
            of this process.

    Raises:
        WeightsError, DeviceError: see `ScoringWorker`.

    Examples:
        >>> import asyncio, hashlib
        >>> from roi_ray.sweep import photographs
        >>> data = photographs()["chelsea"].read_bytes()
        >>> photo = ImageFile("chelsea.jpg", data, hashlib.sha256(data).hexdigest())
        >>> backend = LocalBackend(ServiceOptions(device="cpu"))
        >>> answer = asyncio.run(backend.score(photo, [photo], None))
        >>> answer.outcomes[0].psnr, answer.cached
        (100.0, False)
        >>> backend.close()
    """

    def __init__(self, options: ServiceOptions) -> None:
        self.worker = ScoringWorker(options, self._decode)
        self.score, self.compare = self.worker.score, self.worker.compare
        self.make_mask, self.describe = self.worker.make_mask, self.worker.describe
        self._limits = make_limits(options.limits.max_pixels)
        self._references = ReferenceStore(options.reference_bytes)
        self._decoders = ThreadPoolExecutor(options.decoders or 1, thread_name_prefix="decoder")

    async def put_reference(self, reference: ImageFile) -> bool:
        """Keep a reference; return whether it is new."""
        return self._references.put(reference)

    async def get_reference(self, sha256: str) -> ImageFile | None:
        """Return a reference that is kept; None if it is not."""
        return self._references.get(sha256)

    async def reference_size(self, sha256: str) -> int | None:
        """Return the bytes of a reference that is kept; None if it is not."""
        return self._references.size(sha256)

    def close(self) -> None:
        """End the threads."""
        self.worker.close()
        self._decoders.shutdown(wait=True)

    async def _decode(self, data: bytes, role: Role) -> Pixels | Failure:
        loop = asyncio.get_running_loop()
        decode = partial(decode_file, data, role, self._limits)
        return await retry_turn(lambda: loop.run_in_executor(self._decoders, decode))
