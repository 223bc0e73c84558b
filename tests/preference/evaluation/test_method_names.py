import numpy as np
import pyarrow as pa
import pytest
from scipy.special import expit

from roi_ray.preference.evaluation.method_names import (
    METHOD_COLUMNS,
    predict_by_method,
    select_named,
)
from roi_ray.preference.evaluation.validation import assign_folds
from roi_ray.preference.ranking.bradley_terry import fit_scores
from roi_ray.preference.statistics import measures
from tests.preference.judged import make_answers


def test_names_predict_as_well_as_the_truth_where_images_do_not_matter() -> None:
    table, examples, true, _ = make_answers(references=30)
    predicted = predict_by_method(select_named(table, METHOD_COLUMNS), examples, 5, 2)
    assert predicted.shape == (2, len(examples))
    by_name, best = (measures.log_loss(p, examples.p_a).mean() for p in (predicted[0], true))
    assert best < by_name + 0.001 < best + 0.004
    assert np.abs(predicted[0] - true).max() < 0.15


def test_prediction_is_by_the_other_folds_answers() -> None:
    table, examples, _, _ = make_answers(references=6, each=50)
    predicted = predict_by_method(select_named(table, METHOD_COLUMNS), examples, 3, 1)[0]
    fold = assign_folds(examples.group, 3, 0)
    names = sorted(set(table["method_a"].to_pylist()))
    a, b = (np.searchsorted(names, table[column].to_numpy()) for column in METHOD_COLUMNS)
    for number in range(3):
        seen, test = fold != number, fold == number
        wins = np.zeros((9, 9))
        np.add.at(wins, (a[seen], b[seen]), examples.p_a[seen])
        np.add.at(wins, (b[seen], a[seen]), 1 - examples.p_a[seen])
        scores = fit_scores(wins)
        assert predicted[test] == pytest.approx(expit(scores[a[test]] - scores[b[test]]))


def test_rows_without_two_different_names_are_undecided() -> None:
    table, examples, _, _ = make_answers(references=6, each=50)
    names = table["method_a"].to_pylist()
    names[0], names[1] = None, table["method_b"][1].as_py()
    table = table.set_column(
        table.column_names.index("method_a"), "method_a", pa.array(names, pa.string())
    )
    named = select_named(table, METHOD_COLUMNS)
    assert named.rows.tolist() == list(range(2, len(table)))
    predicted = predict_by_method(named, examples, 3, 1)[0]
    assert predicted[:2].tolist() == [0.5, 0.5]
    assert (predicted[2:] != 0.5).all()


def test_method_that_no_other_reference_has_is_of_average_quality() -> None:
    table, examples, _, _ = make_answers(references=6, each=50)
    names = table["method_a"].to_pylist()
    names[0] = "new"
    table = table.set_column(table.column_names.index("method_a"), "method_a", pa.array(names))
    predicted = predict_by_method(select_named(table, METHOD_COLUMNS), examples, 3, 1)[0]
    assert 0.1 < predicted[0] < 0.9


def test_table_without_names_has_no_named_answers() -> None:
    table, _, _, _ = make_answers(references=3, each=20)
    assert select_named(table.drop_columns(["method_b"]), METHOD_COLUMNS) is None
    nulls = pa.nulls(len(table), pa.string())
    table = table.set_column(table.column_names.index("method_a"), "method_a", nulls)
    assert select_named(table, METHOD_COLUMNS) is None
