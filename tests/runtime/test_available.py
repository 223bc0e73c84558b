"""Memory that is available, in new processes with limits, and turns of work that needs much."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from roi_ray.errors import OutOfMemory
from roi_ray.runtime import available
from roi_ray.runtime.available import (
    UNKNOWN,
    TurnTaken,
    check_available_memory,
    exclusive_memory,
    format_bytes,
    read_available_memory,
)

ADDRESS_SPACE = """
import resource
from pathlib import Path
from roi_ray.runtime.available import read_available_memory

used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (1 << 30), -1))
before = read_available_memory()
taken = bytearray(300 << 20)
print(before, before - read_available_memory())
"""
KEPT = """
import resource
from pathlib import Path
import numpy as np
from roi_ray.runtime.available import read_available_memory
from roi_ray.runtime.memory import keep_freed_memory

assert keep_freed_memory()
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (1 << 30), -1))
before = read_available_memory()
image = np.ones(600 << 20, np.uint8)
taken = read_available_memory()
del image
print(before - taken, before - read_available_memory())
"""
LIMITED = """
import os, sys
from pathlib import Path
Path(sys.argv[1], "cgroup.procs").write_text(str(os.getpid()))
from roi_ray.runtime.available import read_available_memory
print(read_available_memory())
"""
HOLD = """
import sys, time
from roi_ray.runtime.available import exclusive_memory
with exclusive_memory(1, "a photograph"):
    print("working", flush=True)
    sys.stdin.readline()
"""


def run(code: str, *arguments: str) -> list[int]:
    command = [sys.executable, "-c", code, *arguments]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [int(word) for word in output.split()]


def test_limit_on_the_address_space_counts() -> None:
    available, taken = run(ADDRESS_SPACE)
    assert 0.9 * (1 << 30) < available < 1.1 * (1 << 30)
    assert 250 << 20 < taken < 350 << 20


def test_memory_that_the_process_keeps_is_available() -> None:
    taken, kept = run(KEPT)
    assert taken > 550 << 20
    assert kept < 50 << 20


@pytest.mark.parametrize(
    ("root", "name"),
    [("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")],
)
def test_limit_of_a_control_group_counts(root, name) -> None:
    group = Path(root, f"roi-ray-test-{os.getpid()}")
    if not Path(root, "memory.stat").exists() or not os.access(root, os.W_OK):
        pytest.skip("needs a writable control group")
    group.mkdir()
    try:
        (group / name).write_text(str(700 << 20))
        (available,) = run(LIMITED, str(group))
        assert 400 << 20 < available <= 700 << 20
    finally:
        group.rmdir()


def test_too_little_memory_is_an_error_that_says_what_to_do() -> None:
    available = read_available_memory()
    assert 0 < available < UNKNOWN
    check_available_memory(1, "a photograph")
    with pytest.raises(OutOfMemory, match=r"^a photograph needs about .* GB of memory, but .* GB "):
        check_available_memory(available + (1 << 40), "a photograph")
    with pytest.raises(OutOfMemory, match=": stop other programs, or take a machine with more"):
        check_available_memory(available + (1 << 40), "a photograph")
    need = available + (1 << 40)
    with (
        pytest.raises(OutOfMemory, match="fewer --actors if the job has several, .* --max-pixels"),
        exclusive_memory(need, "a photograph"),
    ):
        pass
    assert (format_bytes(1_300_000_000), format_bytes(25_000_000)) == ("1.3 GB", "25 MB")


def test_message_of_too_little_memory_names_less_than_is_needed(monkeypatch) -> None:
    monkeypatch.setattr(available, "read_available_memory", lambda: 738_000_000)
    with pytest.raises(OutOfMemory, match="needs about 585 MB of memory, but 528 MB are available"):
        check_available_memory(585_000_000, "a photograph")


def test_work_in_another_process_is_waited_for_even_if_it_is_killed() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "working\n"
        began = []

        def work() -> None:
            with exclusive_memory(1, "another"):
                began.append(time.monotonic())

        with pytest.raises(TurnTaken), exclusive_memory(1, "another", can_wait=False):
            pass
        thread = threading.Thread(target=work)
        thread.start()
        time.sleep(0.5)
        assert not began
        other.kill()
        thread.join(30)
        assert began
