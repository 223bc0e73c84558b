"""Files of requests, and a backend to send them to."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from roi_ray.service.backend import ImageFile
from roi_ray.service.local_backend import LocalBackend
from roi_ray.service.options import ServiceOptions


def make_file(data: bytes, name: str = "image.png") -> ImageFile:
    """Make a file of a request."""
    return ImageFile(name, data, hashlib.sha256(data).hexdigest())


@contextmanager
def open_backend(**options: Any) -> Iterator[LocalBackend]:
    """A backend in this process, on the CPU."""
    backend = LocalBackend(ServiceOptions(device="cpu", **options))
    try:
        yield backend
    finally:
        backend.close()
