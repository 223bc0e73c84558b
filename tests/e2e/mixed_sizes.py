"""Score a manifest on a local Ray that the job starts, and watch the memory.

Usage: `mixed_sizes.py MANIFEST OUTPUT ACTORS`, in its own process because the test process may have
a Ray already. Print as JSON: pairs, failed pairs, the MiB that the object store has spilled, the
largest MiB that it held, its size, and the largest resident MiB of a decode task and of an actor.
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

from roi_ray.bench.job import private_memory_mib
from roi_ray.pipeline.options import Options
from roi_ray.pipeline.run import score_manifest
from roi_ray.runtime.logs import log_to_stderr
from roi_ray.settings import Settings

SAMPLE_SECONDS = 0.3


def main(manifest: str, output: str, actors: str) -> None:
    """Score while another thread takes samples."""
    log_to_stderr("info")
    watch = threading.Thread(target=_watch, daemon=True)
    watch.start()
    options = Options(engine="ray", device="cpu", actors=int(actors) or None, allow_prefixes=("/",))
    summary = score_manifest(manifest, output, Settings(lpips="alex"), options)
    print(json.dumps({"pairs": summary.rows, "failed": summary.failed, **LARGEST}), flush=True)


LARGEST = {"spilled": 0.0, "used": 0.0, "store": 0.0, "actor": 0.0, "decoder": 0.0}


def _watch() -> None:
    while not ray.is_initialized():
        time.sleep(SAMPLE_SECONDS)
    time.sleep(1)
    state = get_state_from_address(ray.get_runtime_context().gcs_address)
    while ray.is_initialized():
        store = get_memory_info_reply(state).store_stats
        sample = {
            "spilled": store.spilled_bytes_total,
            "used": store.object_store_bytes_used,
            "store": store.object_store_bytes_avail,
        }
        for process in psutil.Process().children(recursive=True):
            try:
                name = process.name() + " ".join(process.cmdline())
                size = private_memory_mib(Path(f"/proc/{process.pid}")) * 2**20
            except (psutil.Error, OSError):
                continue
            if "ScoringActor" in name:
                sample["actor"] = max(size, sample.get("actor", 0))
            elif "decode_work_items" in name:
                sample["decoder"] = max(size, sample.get("decoder", 0))
        for key, value in sample.items():
            LARGEST[key] = max(LARGEST[key], round(value / 2**20, 1))
        time.sleep(SAMPLE_SECONDS)


if __name__ == "__main__":
    main(*sys.argv[1:])
