"""Processes that hold output locks, are suspended, or race for one."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from roi_ray.io import storage
from roi_ray.io.lease import Lease, Stored
from roi_ray.io.lock import OutputLock

_FOLDER = Path(__file__).parent
_ENDED = 2**22 + 1
"""No process has this id: Linux gives at most 2^22."""


def _run(script: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "error", str(_FOLDER / script), *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(_FOLDER.parents[1])},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@contextmanager
def run_holder(uri: str) -> Iterator[subprocess.Popen[str]]:
    """Run a process that holds a lock, and writes a shard for each name that it is sent."""
    with _run("lock_holder.py", uri) as process:
        assert process.stdout.readline() == "locked\n"
        yield process
        process.kill()


def write_shard(holder: subprocess.Popen[str], name: str) -> str:
    """Let a holder write a shard; return what it says."""
    holder.stdin.write(f"{name}\n")
    holder.stdin.flush()
    return holder.stdout.readline()


def wait_for_heartbeats(mine: OutputLock) -> None:
    """Wait until a lock of this process has had some more heartbeats, or is lost."""
    # The number grows before a heartbeat is written: the last of them may not have ended.
    last, end = mine._holder.heartbeat + 3, time.monotonic() + 60
    while mine._holder.heartbeat < last and not mine._lost:
        assert time.monotonic() < end
        time.sleep(0.02)


def check_suspended_holder(uri: str) -> None:
    """Check that a suspended holder whose lock was taken over stops and changes nothing."""
    folder = storage.parent(storage.parent(uri))
    with run_holder(uri) as holder:
        assert write_shard(holder, "a.parquet") == "written\n"
        holder.send_signal(signal.SIGSTOP)
        with OutputLock(uri) as mine:
            # It sees the name only when it goes on; the shard is the first thing it does then.
            holder.stdin.write("b.parquet\n")
            holder.stdin.flush()
            holder.send_signal(signal.SIGCONT)
            answer = holder.stdout.readline()
            assert f"(process {os.getpid()}) has taken over; this job stops" in answer
            assert holder.wait(30) == 0
            assert json.loads(storage.read_bytes(uri))["pid"] == os.getpid()
            mine.check()
        assert storage.list_files(folder) == ["a.parquet"]
        assert not storage.is_file(uri)


def write_dead_lock(uri: str) -> None:
    """Write the lock of a job on this machine that has ended."""
    with OutputLock(uri):
        content = json.loads(storage.read_bytes(uri))
    storage.write_bytes(uri, json.dumps({**content, "pid": _ENDED}).encode())


def check_that_one_wins(*uris: str, processes: int = 16) -> None:
    """Let processes race for locks; check that one gets each, and that the others name it."""
    race = _run("lock_race.py", processes, *uris)
    output, _ = race.communicate(timeout=120)
    for uri in uris:
        folder = storage.parent(storage.parent(uri))
        answers = Counter(line for line in output.splitlines() if line.startswith(folder))
        assert answers.pop(f"{uri}: won", 0) == 1, output
        ((refusal, count),) = answers.items()
        assert count == processes - 1, output
        assert refusal.startswith(f"{folder}: a job on ")
        assert "is writing there; wait for it" in refusal
        assert not storage.is_file(uri)
    assert len(output.splitlines()) == processes * len(uris), output


def check_lease(lease: Lease) -> None:
    """Check that a lease, which does not exist, changes only the version that is named."""
    first = lease.create(b"first")
    assert first is not None
    assert lease.create(b"other") is None
    second = lease.replace(b"second", first)
    assert second is not None
    assert lease.replace(b"third", first) is None
    assert not lease.delete(first)
    assert lease.read() == Stored(b"second", second)
    assert lease.delete(second)
    assert lease.read() is None
    assert lease.replace(b"fourth", second) is None
    assert lease.read() is None
