"""Page faults are counted in a new process, because `keep_freed_memory` cannot be undone."""

import subprocess
import sys

PAGE_FAULTS = """
import resource, torch
from roi_ray.runtime.memory import keep_freed_memory

def count_page_faults():
    for _ in range(4):
        torch.ones(16 << 20)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(16):
        torch.ones(16 << 20)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

returned = count_page_faults()
assert keep_freed_memory()
print(count_page_faults(), returned)
"""


def test_kept_memory_halves_page_faults() -> None:
    run = subprocess.run(
        [sys.executable, "-c", PAGE_FAULTS], check=True, capture_output=True, text=True
    )
    kept, returned = map(int, run.stdout.split())
    assert kept < returned / 2
