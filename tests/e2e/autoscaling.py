"""A job for a GPU on a cluster that has no node to work on yet; nodes come when they are asked for.

Run as a process of its own, `autoscaling.py MANIFEST OUTPUT`, since a test process has a Ray
already. Prints as JSON what was asked for at each step, where decoding ran, and what was scored.
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
from roi_ray.pipeline.engine import Stages
from roi_ray.pipeline.options import Options
from roi_ray.pipeline.run import Summary, score_manifest
from roi_ray.pipeline.score_stage import ScoringActor
from roi_ray.settings import Settings

MEMORY = 300 * 2**20


class ScoringOnCpu(ScoringActor):
    """Asks for a GPU as the real one does, and scores on a CPU: the GPU here is only a number."""

    def __init__(self, settings: Settings, device: str, *arguments: Any, **options: Any) -> None:
        assert device == "cuda"
        super().__init__(settings, "cpu", *arguments, **options)


class DecodeAndSayWhere:
    """The decode stage; leaves a file named after the node that it ran on."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, items: pa.Table, **options: Any) -> Iterator[pa.Table]:
        (self.folder / ray.get_runtime_context().get_node_id()).touch()
        yield from decode_work_items(items, **options)


def demand(address: str) -> set[tuple[tuple[str, float], ...]]:
    """The bundles of resources that the autoscaler is asked for."""
    state = get_cluster_resource_state(GcsClient(address=address))
    return {
        tuple(sorted(pending.request.resources_bundle.items()))
        for pending in state.pending_resource_requests
    }


def wait(condition: Callable[[], bool], what: str) -> None:
    """Until it is so."""
    deadline = time.monotonic() + 90
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(what)
        time.sleep(0.2)


def main(manifest: str, output: str) -> None:
    """Start the job on a bare head; add a CPU node, then a GPU node."""
    places = Path(output).with_suffix(".places")
    places.mkdir()
    head = {"num_cpus": 0, "include_dashboard": False, "object_store_memory": MEMORY}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    ray.init(address=cluster.address, logging_level="ERROR", log_to_driver=False)
    summaries: list[Summary] = []
    stages = Stages(decode=DecodeAndSayWhere(places), actor=ScoringOnCpu)
    options = Options(device="cuda", gpus_per_actor=0.5, actors=2)
    job = threading.Thread(
        target=lambda: summaries.append(
            score_manifest(manifest, output, options=options, stages=stages)
        ),
        daemon=True,
    )
    job.start()
    asked = []
    wait(lambda: len(demand(cluster.address)) > 1, "work for a CPU and for a GPU is pending")
    asked.append(sorted(demand(cluster.address)))
    cpus = cluster.add_node(num_cpus=2, object_store_memory=MEMORY)
    wait(lambda: len(demand(cluster.address)) == 1, "work for a GPU is pending alone")
    asked.append(sorted(demand(cluster.address)))
    assert not list(Path(output).glob("shard-*")), "scored without a GPU"
    gpus = cluster.add_node(num_cpus=2, num_gpus=1, object_store_memory=MEMORY)
    job.join(timeout=120)
    names = {cpus.node_id: "cpu", gpus.node_id: "gpu", cluster.head_node.node_id: "head"}
    where = sorted(names[place.name] for place in places.iterdir())
    (summary,) = summaries
    print(json.dumps({"asked": asked, "where": where, "scored": summary.scored}))
    ray.shutdown()
    cluster.shutdown()


if __name__ == "__main__":
    main(*sys.argv[1:])
