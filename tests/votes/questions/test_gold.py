import numpy as np
import pyarrow.compute as pc

from roi_ray import schema
from roi_ray.votes.questions.from_scores import CERTAIN, TOO_MANY
from tests.votes.questions.score_files import (
    collect,
    score_row,
    sweep_rows,
)


def test_gold_questions_have_a_clearly_better_image_and_are_not_asked_otherwise(tmp_path) -> None:
    collected = collect(tmp_path, sweep_rows())
    rows = collected.table.to_pylist()
    certain = 0
    for row in rows:
        a, b = (-10 * np.log10(1 - row[f"ms_ssim_{side}"]) for side in schema.SIDES)
        is_certain = abs(a - b) >= 6 and min(a, b) <= 17
        certain += is_certain
        assert row["gold"] == is_certain
        if is_certain:
            assert row["expected_p_a"] == float(a > b)
    assert {row["expected_p_a"] for row in rows if row["gold"]} == {0.0, 1.0}
    assert len({row["reference"] for row in rows if row["gold"]}) == 4
    assert collected.left_out[CERTAIN] == 4 * 105 - len(rows) > 0


def test_gold_questions_come_besides_the_most_questions(tmp_path) -> None:
    every = collect(tmp_path, sweep_rows(), max_questions=5000)
    gold = sum(every.table["gold"].to_pylist())
    ordinary = len(every.table) - gold
    just_enough = collect(tmp_path, sweep_rows(), max_questions=ordinary + 1)
    assert len(just_enough.table) == ordinary + gold
    assert just_enough.left_out == every.left_out
    fewer = collect(tmp_path, sweep_rows(), max_questions=ordinary - 1)
    assert fewer.left_out[TOO_MANY] == every.left_out[CERTAIN] + 1


def test_image_that_is_worse_in_one_column_is_no_gold_question(tmp_path) -> None:
    rows = [score_row("photo", "x", 10), score_row("photo", "x", 90), score_row("photo", "x", 95)]
    rows[1]["d_loss"] = rows[2]["d_loss"] = rows[0]["d_loss"] + 1
    assert not pc.any(collect(tmp_path, rows).table["gold"]).as_py()


def test_difference_that_people_may_not_see_is_no_gold_question(tmp_path) -> None:
    rows = [score_row("photo", "x", 80), score_row("photo", "x", 120)]
    assert collect(tmp_path, rows).table["gold"].to_pylist() == [False]
