"""A service in this process that tests share."""

import hashlib
from collections.abc import Iterator

import httpx
import pytest

from roi_ray.service.http.api import build_api
from roi_ray.service.options import Limits, ServiceOptions
from tests.service.files import open_backend
from tests.web.asgi_server import serving

MAX_PIXELS = 1 << 20
MAX_IMAGES = 4
MAX_BYTES = 8 << 20


@pytest.fixture(scope="package")
def readable_folder(tmp_path_factory) -> str:
    """Folder whose files requests to the shared service may name."""
    return str(tmp_path_factory.mktemp("readable"))


@pytest.fixture(scope="package")
def service(readable_folder) -> Iterator[httpx.Client]:
    """A client of the shared service."""
    limits = Limits(max_body_bytes=MAX_BYTES, max_pixels=MAX_PIXELS, max_images=MAX_IMAGES)
    options = {"limits": limits, "allow_prefixes": (readable_folder,)}
    with open_backend(**options) as backend:
        api = build_api(backend, ServiceOptions(device="cpu", **options))
        with serving(api) as url, httpx.Client(base_url=url, timeout=60) as client:
            yield client


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def check_error(response: httpx.Response, status: int, kind: str) -> str:
    """Check that a response is an error; return its text."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    assert list(body) == ["error_kind", "error"]
    assert body["error_kind"] == kind
    assert body["error"].isprintable()
    assert ("retry-after" in response.headers) == (status in (429, 503))
    return body["error"]
