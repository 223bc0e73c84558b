"""Metrics of this machine, as Ray's agent offers them to Prometheus."""

import sys
from typing import Any

from roi_ray.service.direct_http import open_directly
from roi_ray.web.error_answers import request_failed

_SECONDS = 5.0


def read_node_metrics() -> bytes:
    """Return the metrics of the machine on which this process runs.

    Raises:
        RequestFailed: this process uses no Ray (404), or Ray's agent does not answer (503).
    """
    ray = sys.modules.get("ray")
    if ray is None or not ray.is_initialized():
        raise request_failed("NotFound", "there are no metrics: the service runs without Ray")
    url = find_metrics_url(ray.nodes(), ray.get_runtime_context().get_node_id())
    try:
        with open_directly(url, _SECONDS) as response:
            content = response.read()
    except OSError as error:
        raise request_failed(
            "MetricsUnavailable", "Ray's metrics agent does not answer; ask again later"
        ) from error
    return content


def find_metrics_url(nodes: list[dict[str, Any]], node_id: str) -> str:
    """Return the URL of the metrics of a node.

    Args:
        nodes: `ray.nodes()`.
        node_id: the node's ID.

    Examples:
        >>> node = {"NodeID": "ab", "NodeManagerAddress": "10.0.0.1", "MetricsExportPort": 4000}
        >>> find_metrics_url([node], "ab")
        'http://10.0.0.1:4000/metrics'
    """
    node = next(node for node in nodes if node["NodeID"] == node_id)
    return f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics"
