"""Exports of answers are comparisons that training, evaluation and ranking use."""

import datetime
import random
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from roi_ray import schema
from roi_ray.errors import OutputError, StorageError
from roi_ray.preference.comparisons.examples import to_examples
from roi_ray.preference.comparisons.features import join_features
from roi_ray.preference.comparisons.table import (
    check_comparisons,
    drop_gold_and_failed,
    read_comparisons,
)
from roi_ray.preference.evaluation.evaluate import evaluate
from roi_ray.preference.model.recipes import RECIPES
from roi_ray.preference.ranking.rank import compute_win_rates, rank
from roi_ray.preference.training.train import train_in_process
from roi_ray.votes.records import Answer, Ask
from roi_ray.votes.store.export import build_comparisons, write_export
from roi_ray.votes.store.store import Store
from tests.preference.synthetic import comparisons
from tests.s3_server import BUCKET
from tests.votes.store.processes import VOTER, start
from tests.votes.store.studies import SCREEN, add_rater, make_vote

BASIC = {
    "question": ["q0", "q1", "q2"],
    "reference": ["/d/o.png", "/d/o.png", "/d/p.png"],
    "a": ["/d/1.webp", "/d/2.webp", "/d/3.webp"],
    "b": ["/d/2.webp", "/d/3.webp", "/d/1.webp"],
    "method_a": ["x", "y", "z"],
    "method_b": ["y", "z", "x"],
    "gold": [False, False, True],
    "expected_p_a": [None, None, 0.0],
}


@pytest.fixture
def questions():
    return pa.table(BASIC)


def answer(number, question, choice="1", kind="question", first="a", crop=None, **vote):
    ask = Ask(f"ask{number}", "rater", question, kind, first, number - 1, crop)
    return Answer(number, make_vote(ask.id, choice, **vote), ask, 1_700_000_000 + number)


def keyed(table):
    """Turn answered comparisons into questions; return them with the answers to each."""
    keys = [f"q{row}" for row in range(len(table))]
    names = ("a", "b", "c")
    methods = {
        f"method_{side}": [names[(row + step) % 3] for row in range(len(table))]
        for step, side in enumerate(schema.SIDES)
    }
    p_a = table[schema.P_A].to_pylist()
    table = table.drop_columns([schema.P_A, schema.ERROR])
    for name, values in (("question", keys), *methods.items()):
        table = table.append_column(name, pa.array(values))
    return table, p_a


def test_columns_follow_the_schema_and_pass_the_check(questions) -> None:
    answers = [
        answer(1, "q2", "2", kind="gold", first="b"),
        answer(2, "q0", "none"),
        answer(3, "q0", "1", kind="repeat", first="b"),
    ]
    table = build_comparisons(questions, answers)
    checked = check_comparisons(table, "export")
    assert checked.equals(
        table.append_column("group", table["reference"]).select(checked.column_names)
    )
    for name, kind in (schema.COMPARISON | schema.VOTE).items():
        if name in schema.VOTE or name in table.column_names:
            expected = pa.timestamp("us", "UTC") if name == "answered_at" else kind
            assert table.schema.field(name).type == expected, name
    rows = table.to_pylist()
    assert [row["p_a"] for row in rows] == [1.0, 0.5, 0.0]
    assert [row["tie"] for row in rows] == [False, True, False]
    assert [row["gold"] for row in rows] == [True, False, True]
    assert [row["reference"] for row in rows] == ["/d/p.png", "/d/o.png", "/d/o.png"]
    assert [row["expected_p_a"] for row in rows] == [0.0, None, None]
    assert rows[1]["vote_id"] == answers[1].vote.id and rows[1]["rater"] == "rater"
    when = datetime.datetime(2023, 11, 14, 22, 13, 22, tzinfo=datetime.UTC)
    assert rows[1]["answered_at"] == when
    assert (rows[1]["screen_width"], rows[1]["pixel_ratio"]) == (SCREEN.width, SCREEN.pixel_ratio)
    assert not set(schema.CROP) & set(table.column_names)


@pytest.mark.parametrize("first", schema.SIDES)
@pytest.mark.parametrize("choice", ["1", "2", "none"])
def test_p_a_is_about_the_candidate_and_not_about_its_place(questions, first, choice) -> None:
    table = build_comparisons(questions, [answer(1, "q0", choice, first=first)])
    preferred = {"1": first, "2": "b" if first == "a" else "a", "none": None}[choice]
    assert table["p_a"].to_pylist() == [{"a": 1.0, "b": 0.0, None: 0.5}[preferred]]


def test_only_careful_answers_to_ordinary_questions_count(questions) -> None:
    kinds = ("question", "gold", "repeat", "training")
    answers = [answer(n, f"q{n % 3}", kind=kind) for n, kind in enumerate(kinds, 1)]
    answers += [answer(5, "q1", flips=2), answer(6, "q2", milliseconds=2999)]
    table = build_comparisons(questions, answers)
    assert table["error"].to_pylist()[:4] == [None] * 4
    assert table["error"].to_pylist()[4:] == [
        "hasty: 2 flips, fewer than 3",
        "hasty: 2999 ms, less than 3000",
    ]
    assert drop_gold_and_failed(table)["vote_id"].to_pylist() == [answers[0].vote.id]


def test_crops_are_columns_where_a_rater_saw_a_part(questions) -> None:
    answers = [answer(1, "q0", crop=(8, 16, 512, 384)), answer(2, "q1")]
    table = build_comparisons(questions, answers)
    assert table.select(schema.CROP).to_pylist() == [
        dict(zip(schema.CROP, (8, 16, 512, 384), strict=True)),
        dict.fromkeys(schema.CROP),
    ]


def test_answers_to_other_questions_are_an_output_error(questions) -> None:
    with pytest.raises(OutputError, match="1 of 2 answers are about questions that this study"):
        build_comparisons(questions, [answer(1, "q0"), answer(2, "q7")])


def test_an_export_without_answers_has_all_columns(questions, tmp_path) -> None:
    write_export(str(tmp_path / "out"), questions, [])
    empty = pq.read_table(tmp_path / "out" / "comparisons.parquet")
    full = build_comparisons(questions, [answer(1, "q0")])
    assert len(empty) == 0 and empty.column_names == full.column_names
    assert empty.schema.field("answered_at").type == pa.timestamp("us", "UTC")
    assert len(pq.read_table(tmp_path / "out" / "raters.parquet")) == 0


def test_an_export_that_cannot_be_written_is_a_storage_error(questions, tmp_path) -> None:
    (tmp_path / "out").touch()
    with pytest.raises(StorageError, match="cannot write"):
        write_export(str(tmp_path / "out"), questions, [answer(1, "q0")])


def test_an_export_may_be_on_s3(questions, s3_in_this_process) -> None:
    output = f"s3://{BUCKET}/votes"
    write_export(output, questions, [answer(1, "q0"), answer(2, "q1")])
    assert len(read_comparisons(f"{output}/comparisons.parquet").table) == 2


def test_votes_are_trained_evaluated_and_ranked_on(tmp_path) -> None:
    questions, people = keyed(comparisons(references=8, each=20))
    sides = random.Random(0)
    with Store(str(tmp_path / "study.sqlite")) as store:
        rater = add_rater(store)
        for key, p_a in zip(questions["question"].to_pylist(), people, strict=True):
            first = sides.choice(schema.SIDES)
            ask = store.add_ask(rater, key, "question", first, None)
            wrong = p_a == 0
            store.add_vote(rater, make_vote(ask.id, "1" if (first == "a") != wrong else "2"))
            # Hasty answers and repeats that say the contrary of all others.
            for kind, flips in (("question", 0), ("repeat", 4)):
                ask = store.add_ask(rater, key, kind, "a", None)
                store.add_vote(rater, make_vote(ask.id, "1" if wrong else "2", flips=flips))
        write_export(str(tmp_path), questions, store.read_answers())
    table = read_comparisons(str(tmp_path / "comparisons.parquet"))
    assert len(table.table) == 3 * len(people)
    examples = to_examples(table.table, schema.PAPER_FEATURES, "votes")
    assert examples.p_a.tolist() == people
    model = train_in_process(examples, RECIPES["roi-ray"])
    assert ((model.predict(examples.a, examples.b) > 0.5) == (examples.p_a > 0.5)).mean() > 0.8
    evaluation = evaluate(table, ["roi-ray"], folds=2, repeats=1)
    assert evaluation.comparisons == len(people)
    assert {place.name for place in rank(table, resamples=0)} == {"a", "b", "c"}
    assert compute_win_rates(table.table).counts.sum() == 2 * len(people)


def test_joining_features_keeps_the_mark_of_hasty_answers(questions, tmp_path) -> None:
    write_export(str(tmp_path), questions, [answer(1, "q0", flips=0), answer(2, "q1")])
    images = {(o, d) for o in ("/d/o.png", "/d/p.png") for d in (*BASIC["a"], *BASIC["b"])}
    references, distorted = zip(*sorted(images), strict=True)
    scores = {"reference": references, "distorted": distorted}
    scores |= {name: np.full(len(images), 0.5) for name in schema.PAPER_FEATURES}
    scores |= {"error": pa.nulls(len(images), pa.string())}
    pq.write_table(pa.table(scores), tmp_path / "scores.parquet")
    table = join_features(
        read_comparisons(str(tmp_path / "comparisons.parquet")), str(tmp_path / "scores.parquet")
    )
    assert table["error"].to_pylist() == ["hasty: 0 flips, fewer than 3", None]


def test_exports_while_another_process_votes_are_complete(tmp_path) -> None:
    path = tmp_path / "study.sqlite"
    questions = pa.table({"question": ["q"], "reference": ["o"], "a": ["1"], "b": ["2"]})
    voter = start(VOTER, path)
    exports, acknowledged = [], []
    with voter.stdout as printed:
        assert printed.readline() == "open\n"
        with Store(str(path)) as store:
            for _ in range(5):
                acknowledged += [printed.readline().strip() for _ in range(10)]
                write_export(str(tmp_path / "out"), questions, store.read_answers())
                table = pq.read_table(tmp_path / "out" / "comparisons.parquet")
                exports.append(table["vote_id"].to_pylist())
                assert set(acknowledged) <= set(exports[-1])
                (rater,) = pq.read_table(tmp_path / "out" / "raters.parquet").to_pylist()
                assert rater["answers"] == len(table)
        voter.kill()
        printed.read()
    voter.wait(60)
    for earlier, later in pairwise(exports):
        assert later[: len(earlier)] == earlier
