"""Metrics of a running job, which Ray's agent on each node exports to Prometheus.

    ray_roi_ray_pairs_scored_total                  pairs with scores
    ray_roi_ray_pairs_failed_total{kind}            pairs with an error, by kind of error
    ray_roi_ray_stage_seconds{stage}                histogram of the seconds per piece of work
    ray_roi_ray_stage_busy_seconds_total{stage}     sum of these seconds
    ray_roi_ray_actor_memory_bytes                  resident memory of a scoring actor
    ray_roi_ray_references_total{cached}            references of a service's requests, by whether
                                                    they had been prepared before: `true`, `false`

A piece of work is a file (`read`, `write`), an image (`decode`, `encode`), a reference (`prepare`),
the images of a chunk (`score`) or a shard (`commit`). In a sweep, a pair is an original and an
encoded file; it counts as scored if it has no error. Ray adds the prefix `ray_`, and labels for
node and process. A measurement takes 6 microseconds. Without Ray nothing is measured.
"""

import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, Literal

Stage = Literal["read", "decode", "encode", "prepare", "score", "write", "commit"]

_BOUNDARIES = [base * 10.0**power for power in range(-4, 2) for base in (1, 2, 5)]


@contextmanager
def time_stage(stage: Stage) -> Iterator[None]:
    """Measure the time of a piece of work, whether it succeeds or fails."""
    start = time.perf_counter()
    try:
        yield
    finally:
        if is_measured():
            seconds, tags = time.perf_counter() - start, {"stage": stage}
            _instruments()["seconds"].observe(seconds, tags)
            # Ray 2.60 exports a histogram's buckets but estimates its sum, so it is counted here.
            _instruments()["busy"].inc(max(seconds, 1e-9), tags)


def count_pairs(error_kinds: Iterable[str | None]) -> None:
    """Count pairs: None as scored, every other kind as failed."""
    if not is_measured():
        return
    kinds = Counter(error_kinds)
    if scored := kinds.pop(None, 0):
        _instruments()["scored"].inc(scored)
    for kind, count in kinds.items():
        _instruments()["failed"].inc(count, {"kind": str(kind)})


def record_actor_memory(resident: int) -> None:
    """Record a scoring actor's resident memory, in bytes."""
    if is_measured():
        _instruments()["memory"].set(resident)


def count_reference(*, is_cached: bool) -> None:
    """Count the reference of a request to a service."""
    if is_measured():
        _instruments()["references"].inc(1, {"cached": str(is_cached).lower()})


def is_measured() -> bool:
    """Return whether measurements go anywhere: this process uses Ray."""
    # Ray need not be imported here: if it runs, it has been imported.
    ray = sys.modules.get("ray")
    return ray is not None and bool(ray.is_initialized())


@cache
def _instruments() -> dict[str, Any]:
    from ray.util.metrics import Counter, Gauge, Histogram

    return {
        "scored": Counter("roi_ray_pairs_scored", "Pairs with scores."),
        "failed": Counter("roi_ray_pairs_failed", "Pairs with an error.", ("kind",)),
        "seconds": Histogram(
            "roi_ray_stage_seconds", "Seconds per piece of work.", _BOUNDARIES, ("stage",)
        ),
        "busy": Counter("roi_ray_stage_busy_seconds", "Seconds of all work.", ("stage",)),
        "references": Counter(
            "roi_ray_references", "References of requests to a service.", ("cached",)
        ),
        "memory": Gauge("roi_ray_actor_memory_bytes", "Resident memory of a scoring actor."),
    }
