from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from roi_ray import schema
from roi_ray.errors import ManifestError
from roi_ray.votes.questions.collected import Collected
from roi_ray.votes.questions.from_comparisons import (
    CONTRADICTORY,
    FAILED,
    IDENTICAL,
    UNKNOWN,
    collect_comparisons,
)
from roi_ray.votes.questions.table import make_key

ALIKE = {f"{name}_{x}": 1e-4 for name in ("mse", "mse_y", "mse_cb", "mse_cr") for x in "ab"}


def collect(folder: Path, *rows: dict[str, Any]) -> Collected:
    """Collect the questions of comparisons of `o.png`, with `x.png` and `y.png` by default."""
    path = folder / "comparisons.parquet"
    names = {name for row in rows for name in row}
    full = [{"reference": "o.png", "a": "x.png", "b": "y.png"} | row for row in rows]
    kinds = {
        **schema.COMPARISON,
        **schema.VOTE,
        schema.ERROR: "string",
        schema.SCORED_WITH: "string",
    }
    fields = [(n, kinds.get(n, "float64")) for n in {**full[0], **dict.fromkeys(sorted(names))}]
    pq.write_table(pa.Table.from_pylist(full, pa.schema(fields)), path)
    return collect_comparisons(str(path))


def test_each_pair_is_one_question_in_either_order(tmp_path) -> None:
    rows = [{"p_a": 1.0}, {"p_a": 0.0, "a": "y.png", "b": "x.png"}, {"a": "./z.png", "p_a": 0.5}]
    table = collect(tmp_path, *rows).table
    assert table["a"].to_pylist() == [f"{tmp_path}/x.png", f"{tmp_path}/z.png"]
    assert table["b"].to_pylist() == [f"{tmp_path}/y.png"] * 2
    assert table["question"][0].as_py() == make_key(
        f"{tmp_path}/o.png", f"{tmp_path}/y.png", f"{tmp_path}/x.png"
    )
    assert table["gold"].to_pylist() == [False, False]
    assert table["expected_p_a"].null_count == 2


def test_questions_keep_what_is_true_of_a_pair_and_drop_answers_and_persons(tmp_path) -> None:
    pair = {
        "group": "g",
        "dataset": "d",
        "method_a": "jpeg q80",
        "method_b": "avif q40",
        "psnr_a": 30.0,
        "psnr_b": 31.0,
        "scored_with": "precision=fp32",
    }
    answer = {"p_a": 1.0, "votes": 3, "rater": "r", "tie": False, "p_a_preferred": 0.7}
    table = collect(tmp_path, {**pair, **answer, "email": 1.0}).table
    others = {"reference", "a", "b", "question", "gold", "expected_p_a"}
    assert set(table.column_names) == set(pair) | others
    assert {name: table[name][0].as_py() for name in pair} == pair


def test_column_of_one_side_is_dropped(tmp_path) -> None:
    table = collect(tmp_path, {"codec_a": "jpeg", "psnr_b": 30.0}).table
    assert not {"codec_a", "psnr_b"} & set(table.column_names)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([{"gold": True, "p_a": 1.0}], 1.0),
        ([{"gold": True, "p_a": 0.0}], 0.0),
        # The same answer, in the other order of the sides.
        ([{"gold": True, "p_a": 1.0}, {"gold": True, "p_a": 0.0, "a": "y.png", "b": "x.png"}], 1.0),
        # What is a control question once is not asked otherwise.
        ([{"gold": False, "p_a": 0.0}, {"gold": True, "p_a": 1.0}], 1.0),
        # A vote has the right answer apart from what a rater answered; other rows need not.
        ([{"gold": True, "p_a": 0.0, "expected_p_a": 1.0, "vote_id": "v"}], 1.0),
        (
            [
                {"p_a": 0.0, "expected_p_a": None, "vote_id": "v", "gold": True},
                {"gold": True, "p_a": 1.0},
            ],
            1.0,
        ),
        ([{"gold": True, "expected_p_a": 1.0}], 1.0),
        # The original wins, whatever a rater answered.
        ([{"gold": True, "p_a": 0.0, "a": "o.png"}], 1.0),
        ([{"gold": True, "p_a": None, "b": "./o.png"}], 0.0),
    ],
)
def test_control_questions_have_their_right_answer(tmp_path, rows, expected) -> None:
    table = collect(tmp_path, *rows).table
    assert table["gold"].to_pylist() == [True]
    assert table["expected_p_a"].to_pylist() == [expected]


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([{"gold": True, "p_a": 0.5}], UNKNOWN),
        ([{"gold": True, "p_a": None}], UNKNOWN),
        ([{"gold": True}], UNKNOWN),
        ([{"gold": True, "p_a": 0.9}, {"gold": True, "p_a": 0.5}], UNKNOWN),
        ([{"gold": True, "p_a": 1.0}, {"gold": True, "p_a": 0.0}], CONTRADICTORY),
        ([{"error": "x.png cannot be read"}], FAILED),
        ([ALIKE], IDENTICAL),
    ],
)
def test_pairs_that_cannot_be_asked_are_left_out_with_a_reason(tmp_path, rows, reason) -> None:
    others = [{"a": "z.png"}, {"a": "w.png"}]
    collected = collect(tmp_path, *others, *rows)
    assert len(collected.table) == 2
    assert {name: n for name, n in collected.left_out.items() if n} == {reason: 1}


def test_few_equal_numbers_do_not_make_images_identical(tmp_path) -> None:
    rounded = {"psnr_a": 40.0, "psnr_b": 40.0, "ms_ssim_a": 0.99, "ms_ssim_b": 0.99}
    assert len(collect(tmp_path, rounded).table) == 1


def test_row_without_an_error_is_enough(tmp_path) -> None:
    rows = [{"error": "lost", "codec_a": "jpeg", "codec_b": "avif"}]
    rows += [{"codec_a": "avif", "codec_b": "jpeg", "a": "y.png", "b": "x.png"}]
    collected = collect(tmp_path, *rows)
    assert collected.table["codec_a"].to_pylist() == ["avif"]
    assert collected.left_out[FAILED] == 0


def test_answers_of_an_earlier_study_are_not_taken_for_the_truth(tmp_path) -> None:
    gold = {"gold": True, "kind": "gold", "p_a": 0.0, "expected_p_a": 1.0, "vote_id": "1"}
    repeat = {"a": "z.png", "gold": True, "kind": "repeat", "p_a": 1.0, "vote_id": "2"}
    hasty = {"a": "w.png", "gold": False, "kind": "question", "p_a": 1.0, "vote_id": "3"}
    table = collect(tmp_path, gold, repeat, {**hasty, "error": "hasty: 0 flips"}).table
    assert table["gold"].to_pylist() == [True, False, False]
    assert table["expected_p_a"].to_pylist() == [1.0, None, None]


def test_features_that_are_not_numbers_are_refused(tmp_path) -> None:
    path = tmp_path / "c.csv"
    path.write_text("reference,a,b,psnr_a,psnr_b\no.png,x.png,y.png,good,better\n")
    with pytest.raises(ManifestError, match="column 'psnr_a' is of type string, not double"):
        collect_comparisons(str(path))


def test_image_compared_with_itself_is_refused(tmp_path) -> None:
    with pytest.raises(ManifestError, match="row 1 compares 'x.png' with itself"):
        collect(tmp_path, {"b": "x.png"})
