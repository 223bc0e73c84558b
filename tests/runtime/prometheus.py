"""Read roi-ray's metrics from a node's Prometheus endpoint."""

import re
import time
import urllib.request
from typing import Any
from urllib.error import URLError

import ray

Samples = dict[Any, float]


def metrics_address() -> str:
    """Return the URL of the first node's metrics, as in Ray's list of Prometheus targets."""
    node = ray.nodes()[0]
    return f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics"


def wait_for_metrics(address: str, minimum: Samples, seconds: float = 60) -> None:
    """Wait until all metrics have at least these values; processes report at different times."""
    deadline = time.monotonic() + seconds
    while True:
        values = read_metrics(address)
        if all(values.get(key, 0) >= value for key, value in minimum.items()):
            return
        assert time.monotonic() < deadline, values
        time.sleep(0.3)


def read_metrics(address: str) -> Samples:
    """Sum metrics over processes, by name, or by name and stage or kind."""
    text = _read(address)
    values: Samples = {}
    for name, labels, value in re.findall(r"^ray_roi_ray_(\w+)\{(.*)\} (\S+)$", text, re.M):
        label = re.search(r'(?:stage|kind)="(\w+)"', labels)
        key = (name, label[1]) if label else name
        values[key] = values.get(key, 0) + float(value)
    return values


def _read(address: str, seconds: float = 60) -> str:
    """Read the page of a node; the process that serves it starts after the node."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(address, timeout=seconds) as response:
                return response.read().decode()
        except URLError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.3)
