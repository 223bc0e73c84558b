"""What `run_study` checks before people can come. tests/e2e/test_vote.py runs it whole."""

import asyncio
import math
import os
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from roi_ray.errors import ManifestError, OutputError, RoiRayError, UsageError
from roi_ray.votes import run as running
from roi_ray.votes.options import Access, Address, Opening, StudyFiles, VoteOptions
from roi_ray.votes.store.store import Store
from tests.votes.http.studies import make_questions, write_images
from tests.votes.store.studies import add_rater, make_vote

Run = Callable[..., Opening]


@pytest.fixture(scope="module")
def table(photos, tmp_path_factory) -> pa.Table:
    """Comparisons without answers."""
    folder = tmp_path_factory.mktemp("images")
    questions = make_questions(write_images(photos, folder), folder)
    return questions.table.select(["reference", "a", "b"]).slice(0, 9)


@pytest.fixture
def source(table, tmp_path) -> Path:
    path = tmp_path / "pairs" / "pairs.parquet"
    path.parent.mkdir()
    pq.write_table(table, path)
    return path


@pytest.fixture
def run(source, table, tmp_path, monkeypatch) -> Run:
    """Run a study that ends as soon as people can come."""

    async def serve(app, server, announce, has_proxy) -> None:
        await asyncio.to_thread(announce)
        app.close()

    monkeypatch.setattr(running, "_serve", serve)
    prefix = os.path.dirname(table["a"][0].as_py())

    def run_it(
        announce=None, address=None, access=None, seconds=60.0, options=None, **files
    ) -> Opening:
        paths = {"output": str(tmp_path / "votes"), "comparisons": str(source)} | files
        openings: list[Opening] = []
        answers = running.run_study(
            StudyFiles(**paths, allow_prefixes=(prefix,)),
            options or VoteOptions(training=0),
            address or Address(port=0),
            access,
            seconds,
            announce=announce or openings.append,
        )
        assert not openings or openings[0].answers == answers
        return openings[0] if openings else answers

    return run_it


def answer(folder: Path, question: int = 0) -> None:
    """Store an answer about a question of the study in a folder."""
    keys = pq.read_table(folder / "_study" / "questions.parquet")["question"].to_pylist()
    with Store(str(folder / "_study" / "study.sqlite")) as store:
        rater = add_rater(store)
        ask = store.add_ask(rater, keys[question], "question", "a", None)
        store.add_vote(rater, make_vote(ask.id))


def count_rows(output: Path) -> int:
    return pq.read_table(output / "comparisons.parquet").num_rows


def test_the_same_command_goes_on_and_exports(run, tmp_path) -> None:
    first = run()
    assert (first.questions, first.answers, len(first.links)) == (9, 0, 1)
    assert first.admin_key and first.links[0].startswith(f"{first.url}/join/")
    assert not (tmp_path / "votes" / "comparisons.parquet").exists()
    for expected in (1, 2):
        answer(tmp_path / "votes")
        assert run().answers == expected
        assert count_rows(tmp_path / "votes") == expected


def test_a_study_that_has_places_makes_no_invitation(run) -> None:
    assert len(run(access=Access(invitations=2, raters=3)).links) == 2
    again = run()
    assert (again.links, again.places) == ([], 6)
    assert not run(access=Access(invitations=0, admin_keys=("ab" * 32,))).admin_key


def test_nothing_secret_is_in_the_repr_of_an_opening(run) -> None:
    opening = run()
    assert opening.admin_key not in repr(opening) and opening.links[0] not in repr(opening)


def test_the_url_is_that_of_the_proxy_without_a_slash(run) -> None:
    assert (
        run(address=Address(port=0, public_url="http://localhost:9/")).url == "http://localhost:9"
    )


@pytest.mark.parametrize("name", ["comparisons.parquet", "raters.parquet", ""])
@pytest.mark.parametrize("option", ["comparisons", "scores"])
def test_answers_never_replace_what_questions_are_made_of(run, source, name, option) -> None:
    output = source.parent.parent / "link"
    output.symlink_to(source.parent)
    if name:
        source = source.rename(source.parent / name)
    before = source.read_bytes()
    files = {"comparisons": None, option: str(source.parent / name)}
    with pytest.raises(UsageError, match="among what the questions are made of: name another"):
        run(output=str(output), **files)
    assert source.read_bytes() == before and os.listdir(source.parent) == [source.name]


@pytest.mark.parametrize("name", ["comparisons.parquet", "raters.parquet"])
def test_a_file_of_nobody_is_not_replaced(run, table, tmp_path, name) -> None:
    output = tmp_path / "votes"
    output.mkdir()
    pq.write_table(table, output / name)
    with pytest.raises(OutputError, match=rf"{name} is not of this study"):
        run()
    assert pq.read_table(output / name).equals(table)
    assert os.listdir(output) == [name]


def test_answers_of_another_study_are_not_replaced(run, tmp_path) -> None:
    run(database=str(tmp_path / "first"))
    answer(tmp_path / "first")
    answer(tmp_path / "first", 1)
    assert run(database=str(tmp_path / "first")).answers == 2
    with pytest.raises(OutputError, match=r"comparisons.parquet is not of this study"):
        run(database=str(tmp_path / "second"))
    assert not (tmp_path / "second" / "_study").exists()
    run(database=str(tmp_path / "second"), output=str(tmp_path / "other"))
    with pytest.raises(OutputError, match=r"comparisons.parquet is not of this study"):
        run(database=str(tmp_path / "second"))
    assert count_rows(tmp_path / "votes") == 2


def test_questions_of_a_database_that_is_lost_are_not_replaced(run, tmp_path) -> None:
    run()
    (tmp_path / "votes" / "_study" / "study.sqlite").unlink()
    with pytest.raises(OutputError, match=r"questions.parquet is not of this study"):
        run()
    assert not (tmp_path / "votes" / "_study" / "study.sqlite").exists()


def test_lost_questions_are_named_until_they_are_back(run, source, table, tmp_path) -> None:
    run()
    answer(tmp_path / "votes")
    path = tmp_path / "votes" / "_study" / "questions.parquet"
    content = path.read_bytes()
    path.unlink()
    pq.write_table(table.slice(1), source)
    with pytest.raises(OutputError, match=r"1 in all, which are neither in .* nor in the source"):
        run()
    assert not path.exists()
    path.write_bytes(content)
    opening = run()
    assert (opening.questions, opening.answers) == (8, 1)


def test_an_option_that_cannot_be_used_leaves_nothing(run, tmp_path) -> None:
    with pytest.raises(ManifestError, match="has no column 'method_a'"):
        run(options=VoteOptions(active="ranking"))
    with pytest.raises(RoiRayError):
        run(options=VoteOptions(active="model", model="nosuch.safetensors"))
    assert not (tmp_path / "votes").exists()


@pytest.mark.parametrize("seconds", [0.0, -1.0, math.inf, math.nan])
def test_the_time_between_exports_is_a_number_above_0(run, seconds, tmp_path) -> None:
    with pytest.raises(UsageError, match="export_seconds is"):
        run(seconds=seconds)
    assert not (tmp_path / "votes").exists()


def test_the_time_between_exports_may_be_long(run) -> None:
    assert run(seconds=1e300).answers == 0


def test_a_study_goes_on_if_nobody_reads_what_it_prints(run, tmp_path, caplog) -> None:
    run()
    answer(tmp_path / "votes")

    def announce(opening: Opening) -> None:
        raise BrokenPipeError(32, "Broken pipe")

    assert run(announce=announce) == 1
    assert "links and key could not be written: " in caplog.text and "Broken pipe" in caplog.text


@pytest.mark.parametrize("sources", [("comparisons", "scores"), ()])
def test_there_is_one_source(run, source, sources) -> None:
    files = {"comparisons": None} | dict.fromkeys(sources, str(source))
    with pytest.raises(UsageError, match="give either --comparisons or --scores"):
        run(**files)
