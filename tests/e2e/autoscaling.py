"""Run a GPU job on a cluster without workers, and add the nodes that it requests.

Usage: `autoscaling.py MANIFEST OUTPUT`, in its own process because the test process may have a
Ray already. Print as JSON the resources requested at each step, the kinds of nodes on which
decoding ran, and the number of pairs scored.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ["RAY_AUTH_MODE"] = "disabled"
os.environ["RAY_ENABLE_UV_RUN_RUNTIME_ENV"] = "0"

import pyarrow as pa
import ray
from ray._raylet import GcsClient
from ray.autoscaler.v2.sdk import get_cluster_resource_state
from ray.cluster_utils import Cluster

from roi_ray.pipeline.decode_stage import decode_work_items
from roi_ray.pipeline.job import Stages
from roi_ray.pipeline.options import Options
from roi_ray.pipeline.run import Summary, score_manifest
from roi_ray.pipeline.score_stage import ScoringActor
from roi_ray.runtime.ray_start import more_time
from roi_ray.settings import Settings

MEMORY = 300 * 2**20


class ScoringOnCpu(ScoringActor):
    """Requests a GPU like the real actor, but scores on a CPU: the cluster only claims a GPU."""

    def __init__(self, settings: Settings, device: str, *arguments: Any, **options: Any) -> None:
        assert device == "cuda"
        super().__init__(settings, "cpu", *arguments, **options)


class DecodeAndRecordNode:
    """The decode stage; also writes an empty file named after the node on which it runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, items: pa.Table, **options: Any) -> Iterator[pa.Table]:
        (self.folder / ray.get_runtime_context().get_node_id()).touch()
        yield from decode_work_items(items, **options)


def requested_resources(address: str) -> set[tuple[tuple[str, float], ...]]:
    """Return the bundles of resources that Ray asks its autoscaler for."""
    state = get_cluster_resource_state(GcsClient(address=address))
    return {
        tuple(sorted(pending.request.resources_bundle.items()))
        for pending in state.pending_resource_requests
    }


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Wait until a condition is true; raise TimeoutError after 200 s."""
    deadline = time.monotonic() + 200
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(what)
        time.sleep(0.2)


def main(manifest: str, output: str) -> None:
    """Start the job on a head without workers; add a CPU node, then a GPU node."""
    decoded_on = Path(output).with_suffix(".nodes")
    decoded_on.mkdir()
    head = {"num_cpus": 0, "include_dashboard": False, "object_store_memory": MEMORY}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    ray.init(address=cluster.address, logging_level="ERROR", log_to_driver=False)
    summaries: list[Summary] = []
    stages = Stages(decode=DecodeAndRecordNode(decoded_on), actor=ScoringOnCpu)
    options = Options(device="cuda", gpus_per_actor=0.5, actors=2, engine="ray")
    job = threading.Thread(
        target=lambda: summaries.append(
            score_manifest(manifest, output, options=options, stages=stages)
        ),
        daemon=True,
    )
    job.start()
    requested = []
    wait_until(
        lambda: len(requested_resources(cluster.address)) > 1, "no request for a CPU and a GPU"
    )
    requested.append(sorted(requested_resources(cluster.address)))
    cpus = cluster.add_node(num_cpus=2, object_store_memory=MEMORY)
    wait_until(lambda: len(requested_resources(cluster.address)) == 1, "no request for a GPU alone")
    requested.append(sorted(requested_resources(cluster.address)))
    assert not list(Path(output).glob("shard-*")), "scored without a GPU"
    gpus = cluster.add_node(num_cpus=2, num_gpus=1, object_store_memory=MEMORY)
    job.join(timeout=300)
    names = {cpus.node_id: "cpu", gpus.node_id: "gpu", cluster.head_node.node_id: "head"}
    kinds = sorted(names[node.name] for node in decoded_on.iterdir())
    (summary,) = summaries
    print(json.dumps({"requested": requested, "decoded_on": kinds, "scored": summary.scored}))
    ray.shutdown()
    cluster.shutdown()


if __name__ == "__main__":
    with more_time():  # a busy machine starts Ray's processes slowly
        main(*sys.argv[1:])
