import pytest

from roi_ray.errors import ManifestError
from roi_ray.votes.questions.score_images import AGAIN, FAILED, UNNAMED
from tests.votes.questions.score_files import (
    QUALITIES,
    collect,
    score_row,
)


def test_rows_with_an_error_are_left_out(tmp_path) -> None:
    rows = [score_row("photo", "x", quality) for quality in (50, 60, 70)]
    failed = score_row("photo", "x", 80, error="truncated", error_kind="ImageReadError")
    collected = collect(tmp_path, [*rows, failed])
    assert len(collected.table) == 3
    assert collected.left_out[FAILED] == 1


@pytest.mark.parametrize("column", ["reference", "distorted", "codec"])
@pytest.mark.parametrize("value", [None, " "])
def test_rows_without_an_image_or_codec_are_left_out(tmp_path, column, value) -> None:
    rows = [score_row("photo", "x", quality) for quality in (50, 60, 70)]
    collected = collect(tmp_path, [*rows, {**score_row("photo", "x", 80), column: value}])
    assert len(collected.table) == 3
    assert collected.left_out[UNNAMED] == 1


def test_image_of_several_methods_counts_for_the_first(tmp_path) -> None:
    rows = [score_row("photo", codec, 50) for codec in "xyz"]
    rows[1]["distorted"] = rows[0]["distorted"]
    collected = collect(tmp_path, rows)
    assert collected.table["codec_a"].to_pylist() + collected.table["codec_b"].to_pylist() in (
        ["x", "z"],
        ["z", "x"],
    )
    assert collected.left_out[AGAIN] == 1


def test_original_under_two_spellings_is_one_original(tmp_path) -> None:
    rows = [score_row("photo", codec, 50) for codec in "xy"]
    rows[1]["reference"] = f"./{rows[0]['reference']}"
    assert len(collect(tmp_path, rows).table) == 1


def test_scores_with_two_rows_for_an_image_are_refused(tmp_path) -> None:
    rows = [score_row("p", "x", 50), score_row("p", "y", 50), score_row("p", "x", 50, mask="m.png")]
    with pytest.raises(ManifestError, match="2 rows are the image of .*p.png by 'x q50'"):
        collect(tmp_path, rows)


@pytest.mark.parametrize(("error", "kind"), [(False, "bool"), (0, "int64")])
def test_errors_that_are_not_text_are_refused(tmp_path, error, kind) -> None:
    rows = [score_row("photo", "x", quality, error=error) for quality in QUALITIES]
    with pytest.raises(ManifestError, match=f"column 'error' is of type {kind}, not text"):
        collect(tmp_path, rows)
