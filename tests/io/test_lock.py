"""Who may write to an output; with real processes, and a clock that goes faster."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from roi_ray.errors import OutputError
from roi_ray.io import lock
from roi_ray.io.lock import OutputLock

pytestmark = pytest.mark.usefixtures("fast_lock")

HOLDER = """
import sys, time
from roi_ray.io import lock
lock.TIMEOUT_SECONDS, lock._HEARTBEAT_SECONDS = 3.0, 0.3
with lock.OutputLock(sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def uri(tmp_path):
    return str(tmp_path / "scores" / "_run" / "lock.json")


@pytest.fixture
def holder(uri):
    process = subprocess.Popen([sys.executable, "-c", HOLDER, uri], stdout=subprocess.PIPE)
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        yield process
        process.kill()


def test_a_second_job_is_refused_and_told_who_writes(uri, holder) -> None:
    with pytest.raises(OutputError, match=rf"scores: a job on .* \(process {holder.pid}\)"):
        OutputLock(uri).__enter__()


def test_the_lease_of_a_killed_job_is_free_at_once(uri, holder) -> None:
    holder.kill()
    holder.wait()
    started = time.monotonic()
    with OutputLock(uri):
        assert time.monotonic() - started < lock.TIMEOUT_SECONDS / 2


def test_on_another_machine_the_dead_are_known_by_their_silence(uri, holder) -> None:
    holder.kill()
    holder.wait()
    file = Path(uri)
    file.write_text(json.dumps(json.loads(file.read_text()) | {"machine": "elsewhere"}))
    started = time.monotonic()
    with OutputLock(uri):
        assert time.monotonic() - started >= lock.TIMEOUT_SECONDS


def test_it_is_given_back(uri, tmp_path) -> None:
    with OutputLock(uri) as held:
        assert (tmp_path / "scores" / "_run" / "lock.json").exists()
        time.sleep(4 * lock._HEARTBEAT_SECONDS)
        held.check()
    assert not (tmp_path / "scores" / "_run" / "lock.json").exists()
    with OutputLock(uri):
        pass


def test_who_is_overwritten_stops(uri) -> None:
    thief = {"owner": "x", "host": "elsewhere", "machine": "m", "pid": 7, "heartbeat": 3}
    with OutputLock(uri) as held:
        Path(uri).write_text(json.dumps(thief))
        time.sleep(4 * lock._HEARTBEAT_SECONDS)
        with pytest.raises(OutputError, match=r"a job on elsewhere \(process 7\) has taken over"):
            held.check()
    assert json.loads(Path(uri).read_text()) == thief


def test_another_container_of_the_same_name_is_another_machine(uri, holder) -> None:
    """Its processes have numbers that mean nothing here."""
    file = Path(uri)
    here = json.loads(file.read_text())
    there = here | {"machine": here["machine"].replace("pid:[", "pid:[9"), "pid": 2**22 + 1}
    assert not lock._Holder(**there).is_known_dead()
    assert lock._Holder(**there | {"machine": here["machine"]}).is_known_dead()


def test_a_lease_without_a_machine_is_watched_all_the_same(uri, holder) -> None:
    """The version before wrote none."""
    file = Path(uri)
    found = json.loads(file.read_text())
    del found["machine"]
    file.write_text(json.dumps(found))
    with pytest.raises(OutputError, match="is writing there"):
        OutputLock(uri).__enter__()


def test_who_has_lost_it_unseen_leaves_it_to_its_owner(uri, monkeypatch) -> None:
    monkeypatch.setattr(lock, "_HEARTBEAT_SECONDS", 60.0)
    with OutputLock(uri):
        # Stopped for so long that another took it, and ended before its next beat.
        held = json.loads(Path(uri).read_text())
        Path(uri).write_text(json.dumps({**held, "owner": "another"}))
    assert json.loads(Path(uri).read_text())["owner"] == "another"


def test_who_took_over_may_have_ended_already(uri) -> None:
    with OutputLock(uri) as first:
        Path(uri).unlink()
        time.sleep(4 * lock._HEARTBEAT_SECONDS)
        with pytest.raises(OutputError, match="another job has taken over; this job stops"):
            first.check()
    assert not Path(uri).exists()
