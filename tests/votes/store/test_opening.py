"""Files that are no database of a study are refused in one line, and stay as they are."""

import os
import sqlite3

import pytest

from roi_ray.errors import OutputError
from roi_ray.votes.store.store import Store
from roi_ray.votes.store.tables import VERSION
from tests.votes.store.studies import add_rater, make_vote


@pytest.fixture
def path(tmp_path):
    return tmp_path / "study.sqlite"


@pytest.fixture
def study(path):
    """A database with answers."""
    with Store(str(path)) as store:
        rater = add_rater(store)
        for _ in range(50):
            store.add_vote(rater, make_vote(store.add_ask(rater, "q", "gold", "a", None).id))
    return path


def refuse(path) -> str:
    with pytest.raises(OutputError) as refused:
        Store(str(path))
    message = str(refused.value)
    assert "\n" not in message and str(path) in message
    return message


@pytest.mark.parametrize("content", [b"x", b"hello", b"question,p_a\n" * 1000, b"\0" * 8192])
def test_other_files_are_refused(path, content) -> None:
    path.write_bytes(content)
    assert "it is not a database" in refuse(path)
    assert path.read_bytes() == content
    assert os.listdir(path.parent) == [path.name]


def test_a_photograph_is_refused(path, photos) -> None:
    path.write_bytes(photos["chelsea"].tobytes())
    assert "it is not a database" in refuse(path)


@pytest.mark.parametrize("statement", ["CREATE TABLE vote (id)", "PRAGMA application_id = 42"])
def test_databases_of_other_programs_are_refused(path, statement) -> None:
    other = sqlite3.connect(path)
    other.execute(statement)
    other.commit()
    other.close()
    before = path.read_bytes()
    assert "is the database of another program" in refuse(path)
    assert path.read_bytes() == before


def test_a_newer_database_is_refused(study) -> None:
    newer = sqlite3.connect(study)
    newer.execute(f"PRAGMA user_version = {VERSION + 1}")
    newer.commit()
    newer.close()
    assert "was made by a newer version of roi-ray" in refuse(study)


@pytest.mark.parametrize("share", [0.01, 0.3, 0.9])
def test_a_truncated_database_is_refused(study, share) -> None:
    os.truncate(study, int(share * study.stat().st_size))
    message = refuse(study)
    assert "damaged" in message or "not a database" in message


def test_a_damaged_database_is_refused(study) -> None:
    content = bytearray(study.read_bytes())
    content[8192:12288] = os.urandom(4096)
    study.write_bytes(content)
    assert "damaged" in refuse(study)


def test_an_empty_file_becomes_a_database(path) -> None:
    path.touch()
    with Store(str(path)) as store:
        assert store.count_places() == 0


def test_a_folder_is_refused(path) -> None:
    path.mkdir()
    assert "it cannot be opened" in refuse(path)


def test_a_file_in_place_of_the_folder_is_refused(path) -> None:
    path.touch()
    refuse(path / "study.sqlite")


@pytest.mark.parametrize("path", ["s3://bucket/study.sqlite", "a\0b"])
def test_impossible_paths_are_refused(path) -> None:
    with pytest.raises(OutputError):
        Store(path)


def test_paths_with_special_characters_are_paths(tmp_path) -> None:
    path = tmp_path / "über?mode=memory#'\";.sqlite"
    with Store(str(path)) as store:
        rater, study = add_rater(store), store.study
    assert path.stat().st_size > 0
    with Store(str(path)) as store:
        assert store.study == study and store.list_asks(rater) == []
