import numpy as np
import pytest

from roi_ray.errors import ManifestError, UsageError
from roi_ray.preference.model.preference_model import load_preference_model
from roi_ray.settings import DEFAULT_PREFERENCE_MODEL
from roi_ray.votes.asking.model_prior import prepare_weights
from tests.preference.synthetic import comparisons


def test_one_begins_with_the_predictions_of_the_model():
    table = comparisons(references=3, each=10)
    x, prior = prepare_weights(table, DEFAULT_PREFERENCE_MODEL)
    predicted = load_preference_model().predict_table(table, "synthetic")
    near = (np.abs(x) < 5).all(1)
    assert near.any()
    leads, variances = prior.leads(x)
    np.testing.assert_allclose(1 / (1 + np.exp(-leads[near])), predicted[near], atol=1e-5)
    assert (variances > 0).all()


@pytest.mark.parametrize("model", [DEFAULT_PREFERENCE_MODEL, "none"])
def test_questions_that_lack_features_are_marked(model):
    table = comparisons(references=2, each=5)
    column = table.column_names.index("mse_y_a")
    values = table["mse_y_a"].to_pylist()
    values[3] = None
    table = table.set_column(column, "mse_y_a", [values])
    x, _ = prepare_weights(table, model)
    assert np.isnan(x).any(1).tolist() == [row == 3 for row in range(10)]
    with pytest.raises(ManifestError, match="no question has all features"):
        prepare_weights(table.slice(3, 1), model)


def test_features_that_were_not_measured_are_named():
    table = comparisons(references=2, each=5).drop_columns(["ssimulacra2_a", "ssimulacra2_b"])
    with pytest.raises(ManifestError, match=r"ssimulacra2, .*--metrics ssimulacra2"):
        prepare_weights(table, DEFAULT_PREFERENCE_MODEL)


def test_features_of_other_settings_are_refused():
    table = comparisons(references=2, each=5)
    table = table.append_column("scored_with", [["scoring_version=1 lpips=vgg.pth"] * 10])
    with pytest.raises(ManifestError, match="scoring version"):
        prepare_weights(table, DEFAULT_PREFERENCE_MODEL)


def test_a_network_of_the_paper_is_refused(tmp_path):
    from dataclasses import replace

    from roi_ray.preference.comparisons.examples import to_examples
    from roi_ray.preference.model.preference_model import save_preference_model
    from roi_ray.preference.model.recipes import RECIPES
    from roi_ray.preference.training.train import train_in_process

    table = comparisons(references=3, each=10)
    recipe = replace(RECIPES["paper"], epochs=1, early_stopping=False)
    model = train_in_process(to_examples(table, recipe.features, "synthetic"), recipe)
    save_preference_model(str(tmp_path / "paper.safetensors"), model)
    with pytest.raises(UsageError, match="not of the recipe roi-ray"):
        prepare_weights(table, str(tmp_path / "paper.safetensors"))
