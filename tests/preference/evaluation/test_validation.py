import numpy as np
import pytest

from roi_ray import schema
from roi_ray.errors import ManifestError
from roi_ray.preference.comparisons.examples import to_examples
from roi_ray.preference.evaluation.validation import (
    assign_folds,
    open_pool,
    predict_by_metric,
    predict_out_of_fold,
    recipe_learner,
)
from roi_ray.preference.model.recipes import RECIPES
from tests.preference.synthetic import comparisons


@pytest.fixture(scope="module")
def examples():
    return to_examples(comparisons(), schema.PAPER_FEATURES, "synthetic")


def test_folds_do_not_divide_references():
    group = np.repeat(np.arange(11), 3)
    fold = assign_folds(group, 5, 0)
    assert sorted(set(fold)) == [0, 1, 2, 3, 4]
    assert all(len(set(fold[group == reference])) == 1 for reference in range(11))
    assert not np.array_equal(fold, assign_folds(group, 5, 1))
    assert np.array_equal(fold, assign_folds(group, 5, 0))
    assert set(assign_folds(group[group < 3], 5, 0)) == {0, 1, 2}


def test_predictor_never_sees_the_references_it_predicts(examples):
    def learner(seen, seed):
        def predict(others):
            assert not set(seen.group) & set(others.group)
            assert set(seen.group) | set(others.group) == set(range(12))
            return np.full(len(others), seed / 10)

        return predict

    predicted = predict_out_of_fold(examples, learner, 5, 3)
    assert predicted.shape == (3, len(examples))
    assert np.array_equal(predicted, np.repeat([[0.0], [0.1], [0.2]], len(examples), 1))


def test_metric_predicts_by_its_direction(examples):
    for feature in ("psnr", "lpips"):
        chosen = examples.only([feature])
        better = chosen.a > chosen.b if feature == "psnr" else chosen.a < chosen.b
        assert np.array_equal(predict_by_metric(examples, feature), better[:, 0].astype(float))
    same = examples.take(np.array([0, 1]))
    same.b[:] = same.a
    assert predict_by_metric(same, "psnr").tolist() == [0.5, 0.5]


def test_features_that_people_follow_predict_better(examples):
    recipe = RECIPES["roi-ray"]
    right = {
        name: (
            (predict_out_of_fold(examples, recipe_learner(recipe, features), 4, 1)[0] > 0.5)
            == (examples.p_a > 0.5)
        ).mean()
        for name, features in (("basic", schema.BASIC_FEATURES), ("roi", schema.PAPER_FEATURES))
    }
    assert right["roi"] > right["basic"] + 0.01
    assert right["roi"] > 0.82


def test_cross_validation_of_one_reference_is_refused(examples):
    single = examples.take(examples.group == examples.group[0])
    with pytest.raises(ManifestError, match="too few references"):
        predict_out_of_fold(single, recipe_learner(RECIPES["paper"], ("psnr",)), 2, 1)


def test_pool_of_processes_predicts_the_same(examples):
    learner = recipe_learner(RECIPES["roi-ray"], ("psnr", "roi_lpips"))
    alone = predict_out_of_fold(examples, learner, 3, 1)
    with open_pool(2) as run:
        assert np.array_equal(predict_out_of_fold(examples, learner, 3, 1, run), alone)
