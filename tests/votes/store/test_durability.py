"""Nothing that was acknowledged is lost, by real processes and real failures of the storage."""

import random
import shutil
import signal
import sqlite3
import tempfile
import time
import uuid
from pathlib import Path

import pytest

from roi_ray.errors import StorageUnavailable
from roi_ray.votes.store.store import Store
from tests.votes.store.processes import VOTER, start
from tests.votes.store.studies import add_rater, make_vote


def run(code: str, *arguments: object) -> str:
    """Run Python code in another process; return what it prints."""
    with start("-c", code, *arguments) as process:
        printed, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    return printed


def is_uuid(line: str) -> bool:
    try:
        return str(uuid.UUID(line)) == line
    except ValueError:
        return False


def test_five_kills_under_load_lose_no_acknowledged_vote(tmp_path) -> None:
    path = tmp_path / "study.sqlite"
    Store(str(path)).close()
    random_moment = random.Random()
    acknowledged: list[str] = []
    for _ in range(5):
        voters = [start(VOTER, path) for _ in range(2)]
        for voter in voters:
            assert voter.stdout.readline() == "open\n"
        for _ in range(random_moment.randrange(30)):
            acknowledged += [voter.stdout.readline().strip() for voter in voters]
        time.sleep(random_moment.uniform(0, 0.05))  # a moment of its own within a vote
        for voter in voters:
            voter.send_signal(signal.SIGKILL)
        for voter in voters:
            with voter.stdout as printed:
                acknowledged += printed.read().split("\n")[:-1]  # only whole lines
            assert voter.wait(60) == -signal.SIGKILL
        assert all(map(is_uuid, acknowledged))
        with Store(str(path)) as store:
            stored = [answer.vote.id for answer in store.read_answers()]
        assert len(stored) == len(set(stored)) and len(acknowledged) == len(set(acknowledged))
        assert set(acknowledged) <= set(stored)
        # A vote may be stored whose acknowledgement was not printed any more: one per voter.
        assert len(stored) - len(acknowledged) <= 2 * 5


def test_the_same_votes_from_two_processes_are_new_once(tmp_path) -> None:
    path = tmp_path / "study.sqlite"
    with Store(str(path)) as store:
        rater = add_rater(store)
        votes = [make_vote(store.add_ask(rater, "q", "gold", "a", None).id) for _ in range(20)]
    code = f"""
import sys
from roi_ray.votes.records import Screen, Vote
from roi_ray.votes.store.store import Store
store = Store(sys.argv[1])
print([store.add_vote({rater!r}, vote) for vote in {votes!r}])
"""
    processes = [start("-c", code, path) for _ in range(2)]
    answers = [eval(process.communicate(timeout=120)[0]) for process in processes]
    assert all(one != other for one, other in zip(*answers, strict=True))
    with Store(str(path)) as store:
        assert [answer.vote for answer in store.read_answers()] == votes


def test_processes_that_create_the_same_database_share_it(tmp_path) -> None:
    path = tmp_path / "new" / "study.sqlite"
    voters = [start(VOTER, path) for _ in range(3)]
    for voter in voters:
        assert voter.stdout.readline() == "open\n"
        assert is_uuid(voter.stdout.readline().strip())
    for voter in voters:
        voter.kill()
        voter.communicate(timeout=60)
    with Store(str(path)) as store:
        assert len({answer.ask.rater for answer in store.read_answers()}) == 3


def test_a_full_disk_is_one_clear_error_and_loses_nothing(tmp_path) -> None:
    path = tmp_path / "study.sqlite"
    voter = start(VOTER, path, 400_000)
    lines = voter.communicate(timeout=120)[0].split("\n")[:-1]
    assert voter.returncode == 0
    *acknowledged, error, after = lines[1:]
    assert error.startswith("cannot store ")
    assert f" in {path}: the disk is full or fails (SQLITE_IOERR_WRITE)" in error
    assert len(acknowledged) > 3
    with Store(str(path)) as store:
        assert [answer.vote.id for answer in store.read_answers()] == [*acknowledged, after]


def test_a_read_only_file_is_one_clear_error(tmp_path) -> None:
    # pytest's folders are private, but root must become somebody else, who may only read.
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "study.sqlite")
        with Store(str(path)) as store:
            rater = add_rater(store)
            store.add_vote(rater, make_vote(store.add_ask(rater, "q", "gold", "a", None).id))
        before = path.read_bytes()
        path.chmod(0o444)
        Path(folder).chmod(0o555)
        code = """
import os, sys
from roi_ray.errors import OutputError
from roi_ray.votes.store.store import Store
if os.getuid() == 0:
    os.setuid(65534)
try:
    Store(sys.argv[1])
except OutputError as error:
    print(error)
"""
        printed = run(code, path)
        Path(folder).chmod(0o755)
        assert path.read_bytes() == before
    assert printed.startswith(f"{path} cannot be used as a study's database: it ")
    assert printed.count("\n") == 1


@pytest.mark.parametrize("name", ["study.sqlite", "study.sqlite-wal"])
@pytest.mark.parametrize("change", ["delete", "replace"])
def test_no_vote_is_acknowledged_into_a_deleted_file(tmp_path, name, change) -> None:
    path = str(tmp_path / "study.sqlite")
    with Store(path) as store:
        rater = add_rater(store)
        ask = store.add_ask(rater, "q", "gold", "a", None)
        file = tmp_path / name
        kept = tmp_path / "kept"
        file.rename(kept)
        if change == "replace":
            shutil.copy(kept, file)
        with pytest.raises(StorageUnavailable, match="was moved, replaced or deleted"):
            store.add_vote(rater, make_vote(ask.id))
        kept.replace(file)
        assert store.add_vote(rater, make_vote(ask.id))


def test_a_database_that_another_program_keeps_locked_is_one_clear_error(tmp_path, monkeypatch):
    monkeypatch.setattr("roi_ray.votes.store.opening._LOCK_SECONDS", 0.01)
    path = str(tmp_path / "study.sqlite")
    with Store(path) as store:
        rater = add_rater(store)
        ask = store.add_ask(rater, "q", "gold", "a", None)
        vote = make_vote(ask.id)
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageUnavailable, match="another program keeps it locked"):
            store.add_vote(rater, vote)
        assert store.read_answers() == [] and store.list_open(rater) == [ask]
        other.execute("ROLLBACK")
        other.close()
        assert store.add_vote(rater, vote)


def test_each_commit_waits_for_the_disk(tmp_path) -> None:
    with Store(str(tmp_path / "study.sqlite")) as store:
        settings = [
            store._database.read("read a setting", f"PRAGMA {name}")[0][0]
            for name in ("journal_mode", "synchronous", "foreign_keys")
        ]
    assert settings == ["wal", 2, 1]  # 2 is FULL
