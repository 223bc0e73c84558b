import numpy as np
import pytest
from scipy.optimize import minimize

from roi_ray.errors import ManifestError, UsageError
from roi_ray.preference.model.preference_model import load_preference_model
from roi_ray.settings import DEFAULT_PREFERENCE_MODEL
from roi_ray.votes.asking.beliefs import Belief
from roi_ray.votes.asking.model_posterior import fit_weights, prepare_weights
from tests.preference.synthetic import comparisons


def votes(count, seed=0):
    random = np.random.default_rng(seed)
    x = random.normal(size=(count, 2)) @ [[1.0, 0.6], [0.0, 0.8]]
    return x, (random.random(count) < 1 / (1 + np.exp(-x @ [1.0, 0.5]))).astype(float)


def test_mode_and_precision_are_those_of_a_general_minimiser():
    x, shares = votes(60)
    prior = Belief(np.array([0.5, 0.0]), np.diag([0.2, 0.4]))

    def loss(weights):
        leads, change = x @ weights, weights - prior.mean
        ridge = np.square(change) / np.diag(prior.covariance) / 2
        return (np.logaddexp(0, leads) - shares * leads).sum() + ridge.sum()

    expected = minimize(loss, np.zeros(2), method="BFGS", options={"gtol": 1e-8})
    belief = fit_weights(prior, x, shares)
    np.testing.assert_allclose(belief.mean, expected.x, atol=1e-5)
    p = 1 / (1 + np.exp(-x @ belief.mean))
    precision = np.linalg.inv(prior.covariance) + sum(
        each * (1 - each) * np.outer(row, row) for each, row in zip(p, x, strict=True)
    )
    np.testing.assert_allclose(belief.covariance, np.linalg.inv(precision), rtol=1e-8)


def test_posterior_is_close_to_the_exact_one():
    x, shares = votes(80)
    prior = Belief(np.zeros(2), np.eye(2))
    axis = np.linspace(-3, 4, 301)
    weights = np.stack(np.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, 2)
    leads = weights @ x.T
    log_density = (shares * leads - np.logaddexp(0, leads)).sum(1) - np.square(weights).sum(1) / 2
    density = np.exp(log_density - log_density.max())
    belief = fit_weights(prior, x, shares)
    np.testing.assert_allclose(belief.mean, np.average(weights, 0, density), atol=0.05)
    np.testing.assert_allclose(belief.covariance, np.cov(weights.T, aweights=density), atol=0.02)


def test_without_votes_the_prior_is_what_is_known():
    prior = Belief(np.array([0.5, 0.0]), np.diag([0.2, 0.4]))
    belief = fit_weights(prior, np.zeros((0, 2)), np.zeros(0))
    np.testing.assert_allclose(belief.covariance, prior.covariance)
    np.testing.assert_allclose(belief.mean, prior.mean)


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
