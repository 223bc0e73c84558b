"""Run a job on a cluster of three nodes, and replace nodes while it runs.

Usage: `spot.py MANIFEST OUTPUT LOSSES`, in its own process because the test process may have a
Ray already. Print as JSON the job's summary, the number of pairs committed at each loss, and the
number of pairs that the actors scored, including those whose scores were lost.
"""

import json
import os
import random
import sys
import threading
import time
from pathlib import Path

os.environ["RAY_AUTH_MODE"] = "disabled"
os.environ["RAY_ENABLE_UV_RUN_RUNTIME_ENV"] = "0"

import pyarrow as pa
import ray
from ray.cluster_utils import Cluster

from roi_ray.pipeline.job import Stages
from roi_ray.pipeline.options import Options
from roi_ray.pipeline.run import Summary, score_manifest
from roi_ray.pipeline.score_stage import ScoringActor
from roi_ray.runtime.ray_start import more_time

SHARD = 20
SIZE = {"object_store_memory": 200 * 2**20}


def make_counting_actor(folder: Path) -> type[ScoringActor]:
    """Return the scoring actor; it also writes one byte to the folder for each pair it scores."""

    class CountingActor(ScoringActor):
        def __call__(self, table: pa.Table) -> pa.Table:
            results = super().__call__(table)
            (folder / f"{os.getpid()}-{time.monotonic_ns()}").write_bytes(bytes(len(results)))
            return results

    return CountingActor


def main(manifest: str, output: str, losses: str) -> None:
    """Run the job; remove a random worker node `losses` times, and add a new one each time."""
    rng = random.Random(int(os.environ.get("ROI_RAY_SEED", "0")))
    scored = Path(output).with_suffix(".scored")
    scored.mkdir()
    # The head does no work and is not removed, because the driver runs on it.
    head = {"num_cpus": 0, "include_dashboard": False, **SIZE}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    nodes = [cluster.add_node(num_cpus=1, **SIZE) for _ in range(2)]
    ray.init(address=cluster.address, logging_level="ERROR", log_to_driver=False)
    summaries: list[Summary] = []
    options = Options(device="cpu", actors=2, shard_size=SHARD, engine="ray")
    stages = Stages(actor=make_counting_actor(scored))
    job = threading.Thread(
        target=lambda: summaries.append(
            score_manifest(manifest, output, options=options, stages=stages)
        )
    )
    job.start()

    done: list[int] = []
    for _ in range(int(losses)):
        threshold = (done[-1] if done else 0) + SHARD * rng.randint(1, 3)
        while (
            now := SHARD * len(list(Path(output).glob("shard-*")))
        ) < threshold and job.is_alive():
            time.sleep(0.05)
        if not job.is_alive():
            break
        done.append(now)
        cluster.remove_node(nodes.pop(rng.randrange(2)), allow_graceful=False)
        nodes.append(cluster.add_node(num_cpus=1, **SIZE))
    job.join()
    (summary,) = summaries
    pairs = sum(path.stat().st_size for path in scored.iterdir())
    counts = {"rows": summary.rows, "failed": summary.failed, "seconds": summary.seconds}
    print(json.dumps({**counts, "examples": summary.examples, "losses": done, "scored": pairs}))
    ray.shutdown()
    cluster.shutdown()


if __name__ == "__main__":
    with more_time():  # a busy machine starts Ray's processes slowly
        main(*sys.argv[1:])
