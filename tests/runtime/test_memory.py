"""Page faults are counted in a subprocess, because `keep_freed_memory` cannot be undone."""

import subprocess
import sys

PAGE_FAULTS = """
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


def count_page_faults(mode: str) -> int:
    run = subprocess.run(
        [sys.executable, "-c", PAGE_FAULTS, mode], check=True, capture_output=True, text=True
    )
    return int(run.stdout)


def test_kept_memory_halves_page_faults() -> None:
    assert count_page_faults("keep") < count_page_faults("return") / 2
