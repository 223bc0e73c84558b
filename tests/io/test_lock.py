"""The output lock, with real processes and shortened times."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from roi_ray.errors import AccessError, OutputError, StorageUnavailable
from roi_ray.io import lock, storage
from roi_ray.io.lock import OutputLock

pytestmark = pytest.mark.usefixtures("fast_lock")

HOLDER = """
import sys, time
from roi_ray.io import lock
lock.TIMEOUT_SECONDS, lock._HEARTBEAT_SECONDS = 3.0, 0.3
with lock.OutputLock(sys.argv[1]):
    print("locked", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def uri(tmp_path):
    return str(tmp_path / "scores" / "_run" / "lock.json")


@pytest.fixture
def holder(uri):
    """Another process that holds the lock."""
    process = subprocess.Popen([sys.executable, "-c", HOLDER, uri], stdout=subprocess.PIPE)
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"locked\n"
        yield process
        process.kill()


def read(uri: str) -> dict[str, object]:
    return json.loads(Path(uri).read_text())


def write(uri: str, content: dict[str, object]) -> None:
    Path(uri).write_text(json.dumps(content))


def wait_for_heartbeats() -> None:
    time.sleep(4 * lock._HEARTBEAT_SECONDS)


def test_second_job_is_refused_and_the_message_names_the_first(uri, holder) -> None:
    with pytest.raises(OutputError, match=rf"scores: a job on .* \(process {holder.pid}\)"):
        OutputLock(uri).__enter__()


def test_lock_of_a_killed_job_on_this_machine_is_free_at_once(uri, holder) -> None:
    holder.kill()
    holder.wait()
    started = time.monotonic()
    with OutputLock(uri):
        assert time.monotonic() - started < lock.TIMEOUT_SECONDS / 2


def test_lock_of_a_killed_job_on_another_machine_times_out(uri, holder) -> None:
    holder.kill()
    holder.wait()
    write(uri, read(uri) | {"machine": "elsewhere"})
    started = time.monotonic()
    with OutputLock(uri):
        assert time.monotonic() - started >= lock.TIMEOUT_SECONDS


def test_lock_is_kept_while_the_job_runs_and_released_at_its_end(uri) -> None:
    with OutputLock(uri) as mine:
        assert Path(uri).exists()
        wait_for_heartbeats()
        mine.check()
    assert not Path(uri).exists()
    with OutputLock(uri):
        pass


def test_job_whose_lock_was_taken_over_stops_and_leaves_the_lock(uri) -> None:
    other = {"owner": "x", "host": "elsewhere", "machine": "m", "pid": 7, "heartbeat": 3}
    with OutputLock(uri) as mine:
        write(uri, other)
        wait_for_heartbeats()
        with pytest.raises(OutputError, match=r"a job on elsewhere \(process 7\) has taken over"):
            mine.check()
    assert read(uri) == other


def test_process_of_another_container_is_not_known_dead(uri, holder) -> None:
    """Process ids of a container mean nothing outside, even if the host names are equal."""
    here = read(uri)
    machine = str(here["machine"])
    ended = here | {"pid": 2**22 + 1}
    other_container = ended | {"machine": machine.replace("pid:[", "pid:[9")}
    assert not lock._Holder(**other_container).is_known_dead()
    assert lock._Holder(**ended).is_known_dead()


def test_lock_without_a_machine_is_judged_by_its_heartbeat(uri, holder) -> None:
    content = read(uri)
    del content["machine"]
    write(uri, content)
    with pytest.raises(OutputError, match="is writing there"):
        OutputLock(uri).__enter__()


def test_lock_lost_between_two_heartbeats_is_left_to_its_new_holder(uri, monkeypatch) -> None:
    monkeypatch.setattr(lock, "_HEARTBEAT_SECONDS", 60.0)
    with OutputLock(uri):
        # This process was paused, another took over, and this one ends before its next heartbeat.
        write(uri, read(uri) | {"owner": "another"})
    assert read(uri)["owner"] == "another"


def test_job_stops_if_the_job_that_took_over_has_ended_already(uri) -> None:
    with OutputLock(uri) as mine:
        Path(uri).unlink()
        wait_for_heartbeats()
        with pytest.raises(OutputError, match="another job has taken over; this job stops"):
            mine.check()
    assert not Path(uri).exists()


@pytest.mark.parametrize("error", [StorageUnavailable, AccessError])
def test_lock_that_cannot_be_read_is_not_taken(uri, monkeypatch, error) -> None:
    content = {"owner": "x", "host": "elsewhere", "machine": "m", "pid": 7, "heartbeat": 3}
    Path(uri).parent.mkdir(parents=True)
    write(uri, content)

    def fail(_: str) -> bytes:
        raise error("cannot read the lock")

    monkeypatch.setattr(storage, "read_bytes", fail)
    with pytest.raises(error):
        OutputLock(uri).__enter__()
    assert read(uri) == content
