"""Metrics of requests with and without Ray, and the path that offers those of the node."""

import asyncio
import subprocess
import sys

import httpx

from roi_ray.service.http.api import build_api
from roi_ray.service.options import ServiceOptions
from tests.runtime.prometheus import metrics_address, read_metrics, wait_for_metrics
from tests.service.conftest import check_error
from tests.service.http.test_api import FakeBackend


def send(path: str, number: int = 1) -> httpx.Response:
    """Send requests to a service in this process; return the last response."""

    async def run() -> httpx.Response:
        gate = build_api(FakeBackend(None), ServiceOptions())
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(gate), base_url="http://x"
        ) as client:
            return [await client.get(path) for _ in range(number)][-1]

    return asyncio.run(run())


def test_without_ray_nothing_is_measured_and_ray_is_not_imported() -> None:
    code = (
        "import sys\n"
        "from roi_ray.web.gate import RequestOutcome\n"
        "from roi_ray.service.http.telemetry import RequestTelemetry\n"
        "telemetry = RequestTelemetry(str)\n"
        "telemetry.begin(1)\n"
        "telemetry.end(RequestOutcome('/', 200, 1.0, 1), 0)\n"
        "sys.exit('ray' in sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_requests_are_measured_and_the_node_metrics_have_them(ray_cluster) -> None:
    address = metrics_address()
    before = read_metrics(address).get("request_seconds_count", 0)
    send("/v1/health", 100)
    send("/anything/else", 10)
    wait_for_metrics(address, {"request_seconds_count": before + 110})
    response = send("/metrics")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = response.text.splitlines()
    (count,) = [
        line
        for line in lines
        if line.startswith("ray_roi_ray_requests_total{")
        and 'endpoint="/v1/health"' in line
        and 'status="200"' in line
    ]
    assert float(count.split()[-1]) >= 100
    assert any('endpoint="other"' in line and 'status="404"' in line for line in lines)
    assert not any("/anything/else" in line for line in lines)


def test_without_ray_there_are_no_metrics(without_ray) -> None:
    check_error(send("/metrics"), 404, "NotFound")
