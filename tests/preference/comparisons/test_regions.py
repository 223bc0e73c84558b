"""Comparisons without a region of interest, as preference models see them."""

import dataclasses

import numpy as np
import pyarrow as pa
import pytest

from roi_ray import schema
from roi_ray.errors import ManifestError, UsageError
from roi_ray.preference.comparisons.examples import has_features, to_examples
from roi_ray.preference.comparisons.regions import (
    basic_feature,
    feature_arrays,
    lack_region,
    scores_features,
)
from roi_ray.preference.comparisons.table import Comparisons
from roi_ray.preference.evaluation.evaluate import evaluate
from roi_ray.preference.model.preference_model import load_preference_model
from roi_ray.preference.model.recipes import RECIPES, find_recipe
from roi_ray.preference.training.train import train_in_process
from tests.preference.synthetic import comparisons

BASIC = [schema.PAPER_FEATURES.index(name) for name in schema.BASIC_FEATURES]
ROI = [schema.PAPER_FEATURES.index(name) for name in schema.ROI_FEATURES]
UNDER_MASK = [name for name in schema.QUALITY_COLUMNS if basic_feature(name) != name]


def with_column(table, name, values):
    if name in table.column_names:
        table = table.drop_columns([name])
    return table.append_column(name, values)


def without_regions(table, rows, sides=schema.SIDES):
    """Give some rows an empty mask on some sides, as `roi-ray compare` writes it."""
    for side in schema.SIDES:
        empty = np.isin(np.arange(len(table)), rows) & (side in sides)
        table = with_column(table, f"roi_fraction_{side}", pa.array(np.where(empty, 0.0, 0.3)))
        for feature in UNDER_MASK:
            name = f"{feature}_{side}"
            table = with_column(table, name, pa.array(table[name].to_numpy(), mask=empty))
    return table


@pytest.mark.parametrize("sides", ["ab", "a", "b"])
def test_both_sides_take_the_basic_features_where_a_mask_is_empty(sides):
    table = without_regions(comparisons(references=3, each=4), [1, 5], sides)
    assert np.flatnonzero(lack_region(table)).tolist() == [1, 5]
    for values, side in zip(
        feature_arrays(table, schema.PAPER_FEATURES), schema.SIDES, strict=True
    ):
        assert np.array_equal(values[[1, 5]][:, ROI], values[[1, 5]][:, BASIC])
        others = np.delete(values, [1, 5], 0)[:, ROI[0]]
        assert np.array_equal(others, np.delete(table[f"roi_psnr_{side}"].to_numpy(), [1, 5]))
    assert has_features(table, schema.PAPER_FEATURES).all()
    assert len(to_examples(table, ("roi_lpips",), "here")) == 12


def test_null_is_a_missing_number_where_the_mask_is_not_known_to_be_empty():
    table = without_regions(comparisons(references=3, each=4), [1, 5])
    old = table.drop_columns(["roi_fraction_a", "roi_fraction_b"])
    for other in (old, *(fill_fractions(table, fraction) for fraction in (0.2, None))):
        assert not lack_region(other).any()
        missing = np.flatnonzero(~has_features(other, schema.PAPER_FEATURES))
        assert missing.tolist() == [1, 5]
        assert len(to_examples(other, schema.PAPER_FEATURES, "here")) == 10


def fill_fractions(table, fraction):
    for side in schema.SIDES:
        column = pa.array([fraction] * len(table), pa.float64())
        table = with_column(table, f"roi_fraction_{side}", column)
    return table


def test_missing_basic_feature_is_missing_under_an_empty_mask_too():
    table = without_regions(comparisons(references=3, each=4), [1, 5])
    psnr = table["psnr_b"].to_pylist()
    psnr[5] = None
    table = with_column(table, "psnr_b", pa.array(psnr, pa.float64()))
    for features in (("roi_psnr",), ("psnr",), schema.PAPER_FEATURES):
        assert np.flatnonzero(~has_features(table, features)).tolist() == [5]


def test_columns_that_stand_in_must_be_numbers():
    table = without_regions(comparisons(references=3, each=4), [1])
    for name in ("psnr_a", "roi_fraction_b"):
        words = with_column(table, name, pa.array(["x"] * 12))
        with pytest.raises(ManifestError, match=f"column '{name}' is string, not numbers"):
            to_examples(words, ("roi_psnr",), "here")


def test_model_predicts_scores_like_the_table_and_like_basic_features():
    model = load_preference_model()
    table = without_regions(comparisons(references=3, each=4), [1, 5])
    predicted = model.predict_table(table, "here")
    assert np.isfinite(predicted).all()
    a, b = ([to_scores(table, side, row) for row in range(12)] for side in schema.SIDES)
    assert a[1].roi_psnr is None
    assert np.array_equal(model.predict(a, b), predicted)
    basic = [basic_feature(name) for name in model.features]
    x = [[getattr(s, name) for name in basic] for s in (a[5], b[5])]
    assert model.predict(x[:1], x[1:]) == predicted[5]
    # One empty mask of two: both sides take the basic features.
    filled = dataclasses.replace(b[5], roi_fraction=0.3, **dict.fromkeys(UNDER_MASK, 1.0))
    assert model.predict([a[5]], [filled]) == predicted[5]
    assert model.predict([filled], [a[5]]) == 1 - predicted[5]
    with pytest.raises(UsageError, match="scores of both candidates, or features of both"):
        model.predict(a[:1], [[1.0] * len(model.features)])


def test_scores_without_a_metric_of_the_model_are_refused():
    table = without_regions(comparisons(references=3, each=4), [])
    a, b = ([to_scores(table, side, row) for row in range(2)] for side in schema.SIDES)
    b[1] = dataclasses.replace(b[1], ssimulacra2=None, roi_ssimulacra2=None)
    for feature in ("ssimulacra2", "roi_ssimulacra2"):
        with pytest.raises(UsageError, match=rf"needs {feature}, .*Settings\(metrics=\('ssimul"):
            scores_features(a, b, ("psnr", feature))
    assert np.isfinite(scores_features(a, b, ("psnr",))).all()
    # Without a region, None under the mask is no reason.
    empty = dataclasses.replace(a[0], roi_fraction=0.0, roi_ssimulacra2=None)
    x, _ = scores_features([empty], [empty], ("roi_ssimulacra2",))
    assert x == [[empty.ssimulacra2]]


def to_scores(table, side, row):
    """Make the scores of one side of a comparison; other numbers than features are 1."""
    names = [field.name for field in dataclasses.fields(schema.Scores)]
    numbers = dict.fromkeys(names, 1.0)
    for name in (*schema.QUALITY_COLUMNS, "roi_fraction"):
        numbers[name] = table[f"{name}_{side}"][row].as_py()
    return schema.Scores(**numbers)


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_train_and_evaluate_with_rows_without_a_region(name):
    table = without_regions(comparisons(references=6, each=20), range(0, 120, 3))
    recipe = find_recipe(name, epochs=3 if name == "paper" else None)
    model = train_in_process(to_examples(table, schema.PAPER_FEATURES, "here"), recipe)
    assert np.isfinite(model.predict_table(table, "here")).all()


def test_evaluation_uses_rows_without_a_region():
    table = without_regions(comparisons(references=6, each=20), range(0, 120, 3))
    evaluation = evaluate(Comparisons(table, "here", "", ""), ["roi-ray"], folds=2, repeats=1)
    assert evaluation.comparisons == 120
    assert evaluation.without_region == 40
    assert all(np.isfinite(result.accuracy.value) for result in evaluation.results)
