"""Telemetry without Ray and of failing work; `pipeline/test_run.py` tests a whole job's metrics."""

import mmap
import subprocess
import sys

import pytest

from roi_ray.runtime import telemetry
from roi_ray.runtime.memory import read_resident_memory
from tests.runtime.prometheus import metrics_address, read_metrics, wait_for_metrics


def test_without_ray_telemetry_does_nothing_and_imports_no_ray() -> None:
    code = (
        "import sys\n"
        "from roi_ray.runtime import telemetry\n"
        "with telemetry.time_stage('read'): pass\n"
        "telemetry.count_pairs([None, 'E'])\n"
        "telemetry.record_actor_memory(1)\n"
        "sys.exit('ray' in sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_time_of_failing_work_is_measured_and_its_error_raised(ray_cluster) -> None:
    address = metrics_address()
    before = read_metrics(address).get(("stage_seconds_count", "commit"), 0)
    for _ in range(1000):  # more than other tests' jobs may still report
        with pytest.raises(OSError, match="gone"), telemetry.time_stage("commit"):
            raise OSError("gone")
    wait_for_metrics(
        address,
        {
            ("stage_seconds_count", "commit"): before + 1000,
            ("stage_busy_seconds_total", "commit"): 1e-9,
        },
    )


def test_resident_memory_grows_with_this_process() -> None:
    before = read_resident_memory()
    with mmap.mmap(-1, 64 << 20) as block:  # new pages; a bytearray might reuse old ones
        block[:: mmap.PAGESIZE] = bytes(len(block) // mmap.PAGESIZE)
        assert read_resident_memory() - before > 32 << 20
