"""Run one job until some time after its first shard, and sample its memory and open files.

Usage: `soak.py MANIFEST OUTPUT SECONDS`, in its own process because the test process may have
a Ray already. Print samples as JSON, one every 1.5 seconds: the resident MiB and the open files of
this process (`driver`) and of each scoring actor, by process id; the MiB that the object store has
spilled; and the pairs scored so far.
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

from roi_ray.bench.job import actor_memory_mib, private_memory_mib
from roi_ray.pipeline.options import Options
from roi_ray.pipeline.run import score_manifest
from roi_ray.runtime.ray_start import more_time

SAMPLE_SECONDS = 1.5


def main(manifest: str, output: str, seconds: str) -> None:
    """Watch the job for `seconds` from its first shard on, then exit without waiting for it."""
    context = ray.init(
        address="local", num_cpus=2, include_dashboard=False, logging_level="ERROR",
        log_to_driver=False,
    )  # fmt: skip
    state = get_state_from_address(context.address_info["gcs_address"])
    options = Options(device="cpu", actors=1, shard_size=60, engine="ray")
    job = threading.Thread(target=score_manifest, args=(manifest, output, None, options))
    job.daemon = True
    job.start()
    while not list(Path(output).glob("shard-*")) and job.is_alive():
        time.sleep(0.1)
    samples = []
    end = time.monotonic() + float(seconds)
    while time.monotonic() < end and job.is_alive():
        time.sleep(SAMPLE_SECONDS)
        children = [process.pid for process in psutil.Process().children(recursive=True)]
        actors = {pid: size for pid in children if (size := actor_memory_mib(Path(f"/proc/{pid}")))}
        sizes = {
            "driver": private_memory_mib(Path("/proc/self")),
            **{str(p): s for p, s in actors.items()},
        }
        files = {
            "driver": _count_open_files(os.getpid()),
            **{str(p): _count_open_files(p) for p in actors},
        }
        spilled = get_memory_info_reply(state).store_stats.spilled_bytes_total / 2**20
        done = 60 * len(list(Path(output).glob("shard-*")))
        samples.append({"mib": sizes, "files": files, "spilled": spilled, "pairs": done})
    print(json.dumps({"samples": samples, "still_running": job.is_alive()}), flush=True)
    os._exit(0)  # does not wait for the job; its Ray ends with its driver


def _count_open_files(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


if __name__ == "__main__":
    with more_time():  # a busy machine starts Ray's processes slowly
        main(*sys.argv[1:])
