"""What the node's Prometheus endpoint says of roi-ray."""

import re
import time
import urllib.request
from typing import Any

import ray

Samples = dict[Any, float]


def metrics_address() -> str:
    """Of the first node: the one that Ray writes into Prometheus's list of what to fetch."""
    node = ray.nodes()[0]
    return f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics"


def wait_for(address: str, least: Samples, seconds: float = 60) -> None:
    """Until all are there and as large: each process hands in each instrument in its own time."""
    deadline = time.monotonic() + seconds
    while True:
        found = samples(address)
        if all(found.get(key, 0) >= value for key, value in least.items()):
            return
        assert time.monotonic() < deadline, found
        time.sleep(0.3)


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
