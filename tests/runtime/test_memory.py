"""In a process of its own, as the setting is for good."""

import subprocess
import sys

FAULTS = """
import resource, sys, torch
from roi_ray.runtime.memory import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
for _ in range(4):
    torch.ones(16 << 20)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(16):
    torch.ones(16 << 20)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how: str) -> int:
    run = subprocess.run(
        [sys.executable, "-c", FAULTS, how], check=True, capture_output=True, text=True
    )
    return int(run.stdout)


def test_memory_that_is_used_again_costs_no_page_faults() -> None:
    assert faults("keep") < faults("give back") / 2  # the heap takes a while to settle
