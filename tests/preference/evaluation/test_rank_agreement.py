import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from roi_ray.preference.evaluation.method_names import METHOD_COLUMNS, select_named
from roi_ray.preference.evaluation.rank_agreement import (
    compare_rankings,
    score_methods,
    why_not_ranked,
)
from tests.preference.judged import make_answers


def compare(table, predicted):
    return compare_rankings(select_named(table, METHOD_COLUMNS), predicted)


def test_predictions_that_are_right_rank_as_people_do() -> None:
    table, examples, true, _ = make_answers(references=30)
    right = compare(table, true)
    assert right.pearson > 0.98 and right.kendall > 0.8 and right.reason is None
    itself = compare(table, examples.p_a)
    assert (itself.pearson, itself.kendall) == pytest.approx((1, 1))
    opposite = compare(table, 1 - true)
    assert opposite.pearson == pytest.approx(-right.pearson, abs=1e-3)


def test_correlations_are_those_of_the_scores() -> None:
    table, _, _, shifted = make_answers(references=4, each=80)
    methods = select_named(table, METHOD_COLUMNS)
    people = score_methods(methods.people)
    agreement = compare_rankings(methods, shifted)
    assert list(agreement.scores) == list(people) == sorted(people)
    x, y = list(people.values()), list(agreement.scores.values())
    assert agreement.pearson == pytest.approx(np.corrcoef(x, y)[0, 1])
    assert agreement.kendall == pytest.approx(stats.kendalltau(x, y).statistic)


def test_what_cannot_be_correlated_says_why() -> None:
    table, _, true, _ = make_answers(references=3, each=40)

    def reason(part, predicted=true):
        agreement = compare(part, predicted)
        assert (agreement.pearson, agreement.kendall) == (None, None)
        return agreement.reason

    unnamed = "no comparison names two different methods (columns method_a and method_b)"
    assert reason(table.drop_columns(["method_a"])) == unnamed
    one = pa.array(["m"] * len(table))
    for column in METHOD_COLUMNS:
        table = table.set_column(table.column_names.index(column), column, one)
    assert reason(table) == unnamed
    other = table.set_column(
        table.column_names.index("method_b"), "method_b", pa.array(["n"] * len(table))
    )
    assert reason(other) == "2 methods, fewer than 3"
    pairs = [("m", "n"), ("o", "p")] * 60
    for number, column in enumerate(METHOD_COLUMNS):
        names = pa.array([pair[number] for pair in pairs])
        table = table.set_column(table.column_names.index(column), column, names)
    assert reason(table) == "no chain of comparisons links all methods"


def test_undecided_model_has_no_correlation() -> None:
    table, _, true, _ = make_answers(references=3, each=40)
    agreement = compare(table, np.full_like(true, 0.5))
    assert agreement.pearson is None
    assert agreement.reason == "all methods are equally good to the model"
    assert why_not_ranked(select_named(table, METHOD_COLUMNS)) is None
