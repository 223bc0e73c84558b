"""Exports while a study runs, and at its end."""

import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from roi_ray.errors import OutputError
from roi_ray.io import storage
from roi_ray.io.lock import OutputLock
from roi_ray.runtime.logs import LOGGER
from roi_ray.votes import exporting
from roi_ray.votes.exporting import Exports
from roi_ray.votes.options import VoteOptions
from roi_ray.votes.store.store import Store
from roi_ray.votes.study import Study
from tests.votes.http.studies import make_questions, write_images
from tests.votes.test_study import add_rater, ask_next, make_vote


@pytest.fixture
def study(photos, tmp_path) -> Iterator[Study]:
    questions = make_questions(write_images(photos, tmp_path / "images"), tmp_path / "images")
    with Store(str(tmp_path / "study.sqlite")) as store:
        yield Study(questions, store, VoteOptions(training=0))


def vote(study: Study) -> None:
    rater = add_rater(study)
    study.record(rater, make_vote(ask_next(study, rater)))


def open_lock(output: Path) -> OutputLock:
    return OutputLock(storage.join(str(output), "_run", "lock.json"))


def count_rows(output: Path) -> int:
    return pq.read_table(output / "comparisons.parquet").num_rows


def test_answers_are_written_while_the_study_runs_and_at_its_end(study, tmp_path) -> None:
    output = tmp_path / "votes"
    vote(study)
    with open_lock(output) as lock, Exports(study, str(output), lock, seconds=0.01):
        end = time.monotonic() + 60
        while not (output / "comparisons.parquet").exists():
            assert time.monotonic() < end
            time.sleep(0.01)
        vote(study)
    assert count_rows(output) == 2
    assert (output / "raters.parquet").exists()


def test_nothing_is_written_where_there_is_no_answer(study, tmp_path) -> None:
    output = tmp_path / "votes"
    with open_lock(output) as lock, Exports(study, str(output), lock, seconds=60):
        pass
    assert not (output / "comparisons.parquet").exists()


@pytest.mark.parametrize("error", [OutputError("no space"), MemoryError("no space")])
def test_an_export_that_fails_is_tried_again(study, tmp_path, monkeypatch, caplog, error) -> None:
    output = tmp_path / "votes"
    written, failed, done = exporting.write_export, threading.Event(), threading.Event()

    def write_export(*arguments: object) -> None:
        if not failed.is_set():
            failed.set()
            raise error
        written(*arguments)
        done.set()

    monkeypatch.setattr(exporting, "write_export", write_export)
    vote(study)
    with open_lock(output) as lock, Exports(study, str(output), lock, seconds=0.01):
        assert done.wait(60)  # while it runs, not at its end
    assert count_rows(output) == 1
    (record,) = [record for record in caplog.records if record.levelname != "DEBUG"]
    assert record.message.startswith("the answers are not written yet: ")
    assert "no space" in record.message


def test_an_end_without_an_export_says_where_the_answers_are(study, tmp_path, monkeypatch) -> None:
    def write_export(*_: object) -> None:
        raise OutputError("no space")

    monkeypatch.setattr(exporting, "write_export", write_export)
    vote(study)
    output = tmp_path / "votes"
    with (
        pytest.raises(OutputError, match=r"no space; they are safe in the study's database"),
        open_lock(output) as lock,
        Exports(study, str(output), lock, seconds=60),
    ):
        pass


def test_a_slow_end_says_what_is_waited_for(study, tmp_path, monkeypatch, caplog) -> None:
    said = threading.Event()

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.getMessage().endswith(f"still writes its answers to {output}"):
                said.set()

    def write_export(*_: object) -> None:
        assert said.wait(60)

    listener = Listener()
    LOGGER.addHandler(listener)
    monkeypatch.setattr(exporting, "_PATIENCE", 0.01)
    monkeypatch.setattr(exporting, "write_export", write_export)
    vote(study)
    output = tmp_path / "votes"
    try:
        with open_lock(output) as lock, Exports(study, str(output), lock, seconds=60):
            assert not said.is_set()
    finally:
        LOGGER.removeHandler(listener)


def test_the_error_that_ends_a_study_is_not_hidden(study, tmp_path, monkeypatch, caplog) -> None:
    def write_export(*_: object) -> None:
        raise OutputError("no space")

    monkeypatch.setattr(exporting, "write_export", write_export)
    vote(study)
    output = tmp_path / "votes"
    with (
        pytest.raises(ZeroDivisionError),
        open_lock(output) as lock,
        Exports(study, str(output), lock, seconds=60),
    ):
        raise ZeroDivisionError
    assert "the answers were not written: no space" in caplog.text
