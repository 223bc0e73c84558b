"""One job that scores for a given time, watched for what grows.

Run as a process of its own, `soak.py MANIFEST OUTPUT SECONDS`, since a test process has a Ray
already. Prints as JSON a sample every few seconds: the resident MiB and open files of this process
(`driver`) and of each scoring actor, by process id, and the MiB that the object store has spilled.
"""

import json
import os
import sys
import threading
import time
from pathlib import Path

os.environ["RAY_AUTH_MODE"] = "disabled"
os.environ["RAY_ENABLE_UV_RUN_RUNTIME_ENV"] = "0"

import psutil
import ray
from ray._private.internal_api import get_memory_info_reply, get_state_from_address

from roi_ray.bench.job import actor_memory_mib, own_memory_mib
from roi_ray.pipeline.options import Options
from roi_ray.pipeline.run import score_manifest

EVERY = 3.0


def main(manifest: str, output: str, seconds: str) -> None:
    """Let the job run for so long, then leave it."""
    context = ray.init(
        address="local", num_cpus=2, include_dashboard=False, logging_level="ERROR",
        log_to_driver=False,
    )  # fmt: skip
    state = get_state_from_address(context.address_info["gcs_address"])
    options = Options(device="cpu", actors=1, shard_size=60)
    job = threading.Thread(target=score_manifest, args=(manifest, output, None, options))
    job.daemon = True
    job.start()
    samples = []
    end = time.monotonic() + float(seconds)
    while time.monotonic() < end and job.is_alive():
        time.sleep(EVERY)
        mine = [process.pid for process in psutil.Process().children(recursive=True)]
        actors = {pid: size for pid in mine if (size := actor_memory_mib(Path(f"/proc/{pid}")))}
        sizes = {
            "driver": own_memory_mib(Path("/proc/self")),
            **{str(p): s for p, s in actors.items()},
        }
        files = {"driver": _files(os.getpid()), **{str(p): _files(p) for p in actors}}
        spilled = get_memory_info_reply(state).store_stats.spilled_bytes_total / 2**20
        done = 60 * len(list(Path(output).glob("shard-*")))
        samples.append({"mib": sizes, "files": files, "spilled": spilled, "pairs": done})
    print(json.dumps({"samples": samples, "went_on": job.is_alive()}), flush=True)
    os._exit(0)  # the job is not to be waited for; its Ray ends with its driver


def _files(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


if __name__ == "__main__":
    main(*sys.argv[1:])
