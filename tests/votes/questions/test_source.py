import logging

import pytest

from roi_ray.errors import ManifestError, StorageError, UsageError
from roi_ray.votes.options import VoteOptions
from roi_ray.votes.questions.source import read_questions
from tests.votes.questions.score_files import score_row, sweep_rows, write_scores


def write_csv(folder, rows: str) -> str:
    path = folder / "comparisons.csv"
    path.write_text(f"reference,a,b\n{rows}\n")
    return str(path)


def test_log_says_what_there_is_and_what_is_left_out(tmp_path, caplog) -> None:
    rows = [*sweep_rows(), score_row("photo0", "x", 99, error="truncated")]
    scores = write_scores(tmp_path, rows)
    with caplog.at_level(logging.INFO, "roi_ray"):
        questions = read_questions(None, scores, VoteOptions())
    gold = int(questions.is_gold.sum())
    (message,) = caplog.messages
    assert message.startswith(
        f"{len(questions) - gold} questions, 15 methods, 4 originals, and {gold} gold questions, "
        f"from {scores}; left out: images with an error (1); "
    )
    assert questions.is_open.all()
    assert questions.allowlist.prefixes == (str(tmp_path),)


@pytest.mark.parametrize(("comparisons", "scores"), [(None, None), ("c", "s")])
def test_one_source_is_needed(comparisons, scores) -> None:
    with pytest.raises(UsageError, match="give either comparisons or scores"):
        read_questions(comparisons, scores, VoteOptions())


def test_one_image_per_original_has_nothing_to_ask(tmp_path) -> None:
    scores = write_scores(tmp_path, [score_row(name, "x", 50) for name in "pqr"])
    with pytest.raises(ManifestError, match="has nothing to ask: an original needs two images"):
        read_questions(None, scores, VoteOptions())


def test_gold_questions_alone_are_nothing_to_ask(tmp_path) -> None:
    scores = write_scores(tmp_path, [score_row("p", "x", quality) for quality in (10, 90)])
    with pytest.raises(ManifestError, match="0 questions, .*and 1 gold question,"):
        read_questions(None, scores, VoteOptions())


@pytest.mark.parametrize("by", ["method", "codec"])
def test_ranking_needs_what_is_ranked(tmp_path, by) -> None:
    path = write_csv(tmp_path, "o,x,y")
    assert len(read_questions(path, None, VoteOptions(by=by))) == 1
    with pytest.raises(ManifestError, match=f"has no column '{by}_a'"):
        read_questions(path, None, VoteOptions(active="ranking", by=by))


def test_methods_that_no_questions_link_are_named(tmp_path, caplog) -> None:
    rows = "".join(f"o,{a},{b},{a}2,{b}2\n" for a, b in ("xy", "yz", "vw"))
    path = tmp_path / "c.csv"
    path.write_text(f"reference,a,b,method_a,method_b\n{rows}")
    read_questions(str(path), None, VoteOptions(active="model"))
    assert "links" not in caplog.text
    read_questions(str(path), None, VoteOptions())
    assert "there are 2 groups that cannot be ranked in one order, such as those of x2 and v2" in (
        caplog.text
    )


def test_images_elsewhere_need_a_prefix(tmp_path, caplog) -> None:
    (tmp_path / "table").mkdir()
    rows = f"o,x,y\no,x,{tmp_path}/images/z\no,x,http://169.254.169.254/z"
    path = write_csv(tmp_path / "table", rows)
    read_questions(path, None, VoteOptions())
    assert "2 of 3 questions have images that may not be opened" in caplog.text
    assert "name their folder with --allow-prefix" in caplog.text
    caplog.clear()
    questions = read_questions(path, None, VoteOptions(), [f"{tmp_path}/images"])
    assert "1 of 3 questions have images that may not be opened" in caplog.text
    assert questions.allowlist.allows(f"{tmp_path}/images/z")


def test_credentials_in_uris_are_refused_and_not_shown(tmp_path) -> None:
    path = write_csv(tmp_path, "o,x,s3://key:secret@bucket/y")
    with pytest.raises(StorageError, match="credentials belong in") as caught:
        read_questions(path, None, VoteOptions())
    assert "secret" not in str(caught.value)
    path = write_csv(tmp_path, "o,x,ftp://key:secret@host/y")
    with pytest.raises(ManifestError, match="those in ftp://host: to allow them") as refused:
        read_questions(path, None, VoteOptions())
    assert "secret" not in str(refused.value)


def test_images_all_elsewhere_are_refused(tmp_path) -> None:
    path = write_csv(tmp_path, "../o,x,y")
    with pytest.raises(ManifestError, match="1 of 1 questions have images that may not be opened"):
        read_questions(path, None, VoteOptions())


def test_questions_without_a_known_answer_are_a_warning(tmp_path, caplog) -> None:
    path = write_csv(tmp_path, "o,x,y")
    read_questions(path, None, VoteOptions(gold=0, training=0))
    assert not caplog.messages
    for options in (VoteOptions(gold=0), VoteOptions(training=0)):
        read_questions(path, None, options)
        assert caplog.messages[-1].startswith("no question has a known answer, so raters cannot")


def test_questions_that_cannot_be_ranked_are_a_warning(tmp_path, caplog) -> None:
    path = tmp_path / "c.csv"
    path.write_text("reference,a,b,method_a,method_b\no,x,y,x,y\no,x,z,x,\n")
    read_questions(str(path), None, VoteOptions(gold=0, training=0))
    assert caplog.messages == ["1 of 2 questions cannot be ranked: method_a or method_b is empty"]


def test_large_images_without_a_crop_are_a_warning(tmp_path, caplog) -> None:
    rows = [{**row, "width": 6000, "height": 4000} for row in sweep_rows()]
    scores = write_scores(tmp_path, rows)
    read_questions(None, scores, VoteOptions(crop=512))
    assert not caplog.messages
    read_questions(None, scores, VoteOptions())
    assert "images of up to 24 megapixels take long to load; --crop shows a part" in caplog.text
