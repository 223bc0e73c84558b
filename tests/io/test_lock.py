"""The output lock, with real processes and shortened times; see also `test_lock_on_s3.py`."""

import errno
import fcntl
import json
import os
import time
from pathlib import Path

import pytest

from roi_ray.errors import AccessError, OutputError, StorageUnavailable
from roi_ray.io import lease, lock, storage
from roi_ray.io.lock import OutputLock
from roi_ray.io.lock_holder import Holder
from tests.io.locks import (
    check_lease,
    check_suspended_holder,
    check_that_one_wins,
    run_holder,
    wait_for_heartbeats,
    write_dead_lock,
)

pytestmark = pytest.mark.usefixtures("fast_lock")


@pytest.fixture
def uri(tmp_path):
    return str(tmp_path / "scores" / "_run" / "lock.json")


@pytest.fixture
def holder(uri):
    """Another process that holds the lock."""
    with run_holder(uri) as process:
        yield process


def read(uri: str) -> dict[str, object]:
    return json.loads(Path(uri).read_text())


def write(uri: str, content: dict[str, object]) -> None:
    Path(uri).write_text(json.dumps(content))


def test_second_job_is_refused_and_the_message_names_the_first(uri, holder) -> None:
    with pytest.raises(OutputError, match=rf"scores: a job on .* \(process {holder.pid}\)"):
        OutputLock(uri).__enter__()


def test_lock_of_a_killed_job_on_this_machine_is_free_at_once(uri, holder, monkeypatch) -> None:
    monkeypatch.setattr(lock, "TIMEOUT_SECONDS", 120.0)
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


def test_one_of_16_racing_jobs_gets_a_free_lock_and_that_of_a_dead_job(uri) -> None:
    dead = uri.replace("scores", "dead")
    write_dead_lock(dead)
    check_that_one_wins(uri, dead)


def test_suspended_job_stops_when_it_goes_on_and_changes_nothing(uri) -> None:
    check_suspended_holder(uri)


def test_lock_is_kept_while_the_job_runs_and_released_at_its_end(uri) -> None:
    with OutputLock(uri) as mine:
        assert Path(uri).exists()
        wait_for_heartbeats(mine)
        mine.check()
    assert not Path(uri).exists()
    with OutputLock(uri):
        pass


def test_job_whose_lock_was_taken_over_stops_and_leaves_the_lock(uri) -> None:
    other = {"owner": "x", "host": "elsewhere", "machine": "m", "pid": 7, "heartbeat": 3}
    with OutputLock(uri) as mine:
        write(uri, other)
        wait_for_heartbeats(mine)
        with pytest.raises(OutputError, match=r"a job on elsewhere \(process 7\) has taken over"):
            mine.check()
    assert read(uri) == other


def test_process_of_another_container_is_not_known_dead(uri, holder) -> None:
    """Process ids of a container mean nothing outside, even if the host names are equal."""
    here = read(uri)
    machine = str(here["machine"])
    ended = here | {"pid": 2**22 + 1}
    other_container = ended | {"machine": machine.replace("pid:[", "pid:[9")}
    assert not Holder(**other_container).is_known_dead()
    assert Holder(**ended).is_known_dead()


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


def test_job_looks_before_it_writes_if_its_last_heartbeat_is_old(uri, monkeypatch) -> None:
    monkeypatch.setattr(lock, "_HEARTBEAT_SECONDS", 60.0)
    with OutputLock(uri) as mine:
        mine.check()
        write(uri, read(uri) | {"owner": "another"})
        with pytest.raises(OutputError, match="has taken over; this job stops"):
            mine.check()


def test_job_that_cannot_renew_an_old_lock_does_not_write(uri, monkeypatch) -> None:
    def fail(*_: object) -> None:
        raise StorageUnavailable("cannot write the lock")

    monkeypatch.setattr(lock, "TIMEOUT_SECONDS", 120.0)
    with OutputLock(uri) as mine:
        monkeypatch.setattr(lease.LocalLease, "replace", fail)
        wait_for_heartbeats(mine)
        mine.check()  # the last heartbeat is not old yet
        monkeypatch.setattr(lock, "TIMEOUT_SECONDS", 0.5)
        with pytest.raises(StorageUnavailable, match="cannot write the lock"):
            mine.check()


def test_old_lock_whose_renewal_is_refused_again_and_again_is_no_right_to_write(
    uri, monkeypatch
) -> None:
    with OutputLock(uri) as mine:
        monkeypatch.setattr(lease.LocalLease, "replace", lambda *_: None)
        monkeypatch.setattr(lock, "TIMEOUT_SECONDS", 0.0)
        with pytest.raises(StorageUnavailable, match="cannot renew .* refused it 3 times"):
            mine.check()


def test_job_stops_if_the_job_that_took_over_has_ended_already(uri) -> None:
    with OutputLock(uri) as mine:
        Path(uri).unlink()
        wait_for_heartbeats(mine)
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


def test_change_waits_for_a_short_time_while_another_process_makes_one(uri, monkeypatch) -> None:
    monkeypatch.setattr(lease, "_MUTEX_SECONDS", 0.5)
    with OutputLock(uri), open(Path(uri).with_name(".lock.json.mutex"), "r+") as mutex:
        fcntl.flock(mutex, fcntl.LOCK_EX)
        with pytest.raises(StorageUnavailable, match=r"held .*lock.json.mutex for .*suspended"):
            lease.open_lease(uri).create(b"")


@pytest.mark.parametrize("missing", ["flock", "link", "both"])
def test_file_systems_without_flock_or_hard_links_can_be_locked(uri, monkeypatch, missing) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    if missing != "link":
        monkeypatch.setattr(fcntl, "flock", fail)
    if missing != "flock":
        monkeypatch.setattr(os, "link", fail)
    write_dead_lock(uri)
    with OutputLock(uri) as mine:
        wait_for_heartbeats(mine)
        mine.check()
        assert read(uri)["heartbeat"] != 0
        with pytest.raises(OutputError, match="is writing there"):
            OutputLock(uri).__enter__()
    assert not Path(uri).exists()


def test_lease_changes_only_the_version_that_is_named(uri) -> None:
    check_lease(lease.open_lease(uri))
    check_lease(lease.UnconditionalLease(uri))


def test_lock_leaves_no_folder_that_it_made_and_that_is_empty(tmp_path) -> None:
    (tmp_path / "kept").mkdir()
    with OutputLock(str(tmp_path / "kept" / "new" / "_run" / "lock.json")):
        pass
    assert list(tmp_path.rglob("*")) == [tmp_path / "kept"]


def test_lock_leaves_folders_with_files_of_others(tmp_path) -> None:
    folder = tmp_path / "_run"
    with OutputLock(str(folder / "lock.json")):
        (folder / "run.json").touch()
    assert sorted(path.name for path in folder.iterdir()) == [".lock.json.mutex", "run.json"]


def test_folder_that_vanishes_while_the_mutex_is_opened_is_made_again(uri, monkeypatch) -> None:
    path, make, vanished = Path(uri).parent / "new" / "lock.json", Path.mkdir, []

    def make_and_lose(folder: Path, *arguments: object, **options: object) -> None:
        make(folder, *arguments, **options)
        if folder == path.parent and not vanished:
            vanished.append(folder)
            folder.rmdir()

    monkeypatch.setattr(Path, "mkdir", make_and_lose)
    with OutputLock(str(path)):
        assert path.exists()
    assert vanished
