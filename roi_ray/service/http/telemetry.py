"""Metrics of the requests of a service, which Ray's agent on each node exports to Prometheus.

    ray_roi_ray_requests_total{endpoint,status}         requests; status 0: the client went away
    ray_roi_ray_request_seconds{endpoint}               histogram of their seconds
    ray_roi_ray_request_busy_seconds_total{endpoint}    sum of these seconds
    ray_roi_ray_request_bytes_total{endpoint}           bytes of bodies, and of files that they name
    ray_roi_ray_requests_in_progress                    requests in progress, per process

Without Ray nothing is measured; see `roi_ray.runtime.telemetry`.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

from roi_ray.runtime.telemetry import is_measured
from roi_ray.web.gate import RequestOutcome

_BOUNDARIES = [base * 10.0**power for power in range(-3, 3) for base in (1, 2, 5)]


class RequestTelemetry:
    """Measures requests; an `Observer` of a gate.

    Args:
        template: returns the template of a path; few, because each has its own series.
    """

    def __init__(self, template: Callable[[str], str]) -> None:
        self._template = template

    def begin(self, requests: int) -> None:
        """Record how many requests are in progress."""
        if is_measured():
            _instruments()["in_progress"].set(requests)

    def end(self, outcome: RequestOutcome, requests: int) -> None:
        """Record the end of a request, and how many are in progress."""
        if not is_measured():
            return
        instruments, tags = _instruments(), {"endpoint": self._template(outcome.path)}
        instruments["requests"].inc(1, {**tags, "status": str(outcome.status)})
        instruments["seconds"].observe(outcome.seconds, tags)
        # Ray 2.60 estimates the sum of a histogram, so it is counted here; it refuses to add 0.
        instruments["busy"].inc(max(outcome.seconds, 1e-9), tags)
        if outcome.size:
            instruments["bytes"].inc(outcome.size, tags)
        instruments["in_progress"].set(requests)


@cache
def _instruments() -> dict[str, Any]:
    from ray.util.metrics import Counter, Gauge, Histogram

    endpoint = ("endpoint",)
    return {
        "requests": Counter("roi_ray_requests", "Requests.", (*endpoint, "status")),
        "seconds": Histogram(
            "roi_ray_request_seconds", "Seconds per request.", _BOUNDARIES, endpoint
        ),
        "busy": Counter("roi_ray_request_busy_seconds", "Seconds of all requests.", endpoint),
        "bytes": Counter("roi_ray_request_bytes", "Bytes that requests took.", endpoint),
        "in_progress": Gauge("roi_ray_requests_in_progress", "Requests in progress."),
    }
