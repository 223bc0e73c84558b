"""What a running job measures of itself, by Ray's agent on each node for Prometheus to fetch.

    ray_roi_ray_pairs_scored_total                      pairs with scores
    ray_roi_ray_pairs_failed_total{kind}                pairs with an error
    ray_roi_ray_stage_seconds{stage}                    histogram: how long one piece of work takes
    ray_roi_ray_stage_busy_seconds_total{stage}         what they take together
    ray_roi_ray_actor_memory_bytes                      resident memory of a scoring actor

A piece is a file (`read`), an image (`decode`), a reference (`prepare`), the images of a chunk
(`score`), a shard (`commit`). Ray puts `ray_` before the names, and labels for node and process
behind them. A measurement takes 6 microseconds. Without Ray nothing is measured.
"""

import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, Literal

Stage = Literal["read", "decode", "prepare", "score", "commit"]

_BOUNDARIES = [base * 10.0**power for power in range(-4, 2) for base in (1, 2, 5)]


@contextmanager
def time_stage(stage: Stage) -> Iterator[None]:
    """Measure how long a piece of work takes, whether it succeeds or not."""
    start = time.perf_counter()
    try:
        yield
    finally:
        if _is_measured():
            seconds, tags = time.perf_counter() - start, {"stage": stage}
            _instruments()["seconds"].observe(seconds, tags)
            # Ray 2.60 hands on a histogram's buckets, and makes up its sum from their middles.
            _instruments()["busy"].inc(max(seconds, 1e-9), tags)


def count_pairs(error_kinds: Iterable[str | None]) -> None:
    """Count pairs: None as scored, every other kind as failed."""
    if not _is_measured():
        return
    kinds = Counter(error_kinds)
    if scored := kinds.pop(None, 0):
        _instruments()["scored"].inc(scored)
    for kind, count in kinds.items():
        _instruments()["failed"].inc(count, {"kind": str(kind)})


def record_actor_memory(resident: int) -> None:
    """Tell a scoring actor's resident memory, in bytes."""
    if _is_measured():
        _instruments()["memory"].set(resident)


def _is_measured() -> bool:
    # Ray is not imported for this: where it runs, it has been.
    ray = sys.modules.get("ray")
    return ray is not None and bool(ray.is_initialized())


@cache
def _instruments() -> dict[str, Any]:
    from ray.util.metrics import Counter, Gauge, Histogram

    return {
        "scored": Counter("roi_ray_pairs_scored", "Pairs with scores."),
        "failed": Counter("roi_ray_pairs_failed", "Pairs with an error.", ("kind",)),
        "seconds": Histogram(
            "roi_ray_stage_seconds", "Of one piece of work.", _BOUNDARIES, ("stage",)
        ),
        "busy": Counter("roi_ray_stage_busy_seconds", "Of all pieces together.", ("stage",)),
        "memory": Gauge("roi_ray_actor_memory_bytes", "Resident memory of a scoring actor."),
    }
