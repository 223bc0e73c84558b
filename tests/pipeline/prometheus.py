"""What the node's Prometheus endpoint says of roi-ray."""

import re
import time
import urllib.request
from collections.abc import Callable
from typing import Any

import ray

Samples = dict[Any, float]


def metrics_address() -> str:
    """Of the first node: the one that Ray writes into Prometheus's list of what to fetch."""
    node = ray.nodes()[0]
    return f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics"


def wait_for(address: str, condition: Callable[[Samples], bool], seconds: float = 60) -> Samples:
    """The first samples of which this holds: each process hands in its own, at its own time."""
    deadline = time.monotonic() + seconds
    while not condition(found := samples(address)):
        assert time.monotonic() < deadline, found
        time.sleep(0.3)
    return found


def samples(address: str) -> Samples:
    """Sums over processes, by name and stage or kind."""
    with urllib.request.urlopen(address, timeout=10) as response:
        text = response.read().decode()
    found: Samples = {}
    for name, labels, value in re.findall(r"^ray_roi_ray_(\w+)\{(.*)\} (\S+)$", text, re.M):
        label = re.search(r'(?:stage|kind)="(\w+)"', labels)
        key = (name, label[1]) if label else name
        found[key] = found.get(key, 0) + float(value)
    return found
