from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize

from roi_ray import schema
from roi_ray.errors import RoiRayError
from roi_ray.preference.comparisons.examples import Examples, to_examples
from roi_ray.preference.model.recipes import UtilityRecipe
from roi_ray.preference.model.scale import Scale
from roi_ray.preference.training.newton import NewtonTraining
from tests.preference.synthetic import comparisons

FEATURES = ("psnr", "roi_psnr")
RECIPE = UtilityRecipe(FEATURES, weight_decay=3e-3)


@pytest.fixture(scope="module")
def examples():
    examples = to_examples(comparisons(), schema.PAPER_FEATURES, "synthetic")
    votes = np.random.default_rng(0).integers(1, 9, len(examples)).astype(float)
    return replace(examples, weight=votes, p_a=0.9 * examples.p_a + 0.03)


def make_examples(a, b, p_a, features=FEATURES):
    count = len(p_a)
    p_a = np.array(p_a, float)
    return Examples(features, a, b, p_a, np.ones(count), np.arange(count))


def fit(examples, recipe=RECIPE):
    training = NewtonTraining(examples, recipe, Scale.fit(examples, recipe))
    losses = [training.step(number)["loss"] for number in range(training.steps)]
    assert training.converged
    return training.state()["network"]["linear"][0].numpy(), losses


def count_steps(losses):
    """Count the steps that made the loss smaller."""
    return int((np.diff([1.0, *losses]) < -1e-12).sum())


def make_loss(examples, recipe):
    """Make the loss function of the weights, from its definition."""
    scale = Scale.fit(examples, recipe)
    a, b = (scale(side, examples.features).numpy() for side in (examples.a, examples.b))

    def loss(weights):
        p = 1 / (1 + np.exp(-(a @ weights - b @ weights)))
        entropy = -examples.p_a * np.log(p) - (1 - examples.p_a) * np.log(1 - p)
        penalty = recipe.weight_decay * np.sum(weights**2) / 2
        return np.sum(examples.weight * entropy) / np.sum(examples.weight) + penalty

    return loss


@pytest.mark.parametrize("weight_decay", [1e-6, 3e-3, 1.0])
def test_fit_is_the_minimum_that_another_optimiser_finds(examples, weight_decay):
    recipe = replace(RECIPE, weight_decay=weight_decay)
    loss = make_loss(examples, recipe)
    expected = minimize(loss, np.ones(8), bounds=[(0, None)] * 8, options={"gtol": 1e-8}, tol=1e-14)
    weights, losses = fit(examples, recipe)
    np.testing.assert_allclose(weights, expected.x, atol=1e-4)
    assert losses[-1] == pytest.approx(loss(weights), abs=1e-12)
    assert losses[-1] <= expected.fun + 1e-12
    assert count_steps(losses) <= 10


def test_separable_answers_have_a_finite_fit():
    a = np.array([[30.0, 31.0], [40.0, 41.0], [50.0, 51.0], [35.0, 36.0]])
    weights, losses = fit(make_examples(a, a - [[1.0, 2.0]], [1, 1, 1, 1]))
    # The features are the same after standardisation, and share the weight w: the derivative
    # of the loss is 0 at sigmoid(-2 w) = weight_decay w.
    assert weights[0] == pytest.approx(weights[1])
    assert 1 / (1 + np.exp(2 * weights[0])) == pytest.approx(RECIPE.weight_decay * weights[0])
    assert count_steps(losses) <= 12


def test_single_comparison_is_fitted():
    weights, _ = fit(make_examples(np.array([[30.0, 40.0]]), np.array([[31.0, 39.0]]), [1]))
    assert weights[0] == 0  # b is better in the first feature, but a was preferred
    assert weights[1] > 1


def test_feature_that_never_varies_has_no_weight(examples):
    a, b = examples.a.copy(), examples.b.copy()
    a[:, 2] = b[:, 2] = 0.1
    weights, _ = fit(replace(examples, a=a, b=b))
    assert weights[2] == 0
    assert weights[[0, 4, 6]].min() > 1e-3


def test_step_that_would_overshoot_is_shortened():
    # Answers with outliers, at random, among which whole steps never converge.
    random = np.random.default_rng(1421)
    count = random.integers(3, 60)
    x = random.standard_t(1, size=(count, 2))
    p_a = (random.random(count) < 0.5).astype(float)
    votes = np.exp(3 * random.normal(size=count))
    _, losses = fit(replace(make_examples(x, np.zeros_like(x), p_a), weight=votes))
    assert (np.diff(losses) <= 1e-12).all()
    assert count_steps(losses) <= 20


def test_swapped_comparisons_give_the_same_weights(examples):
    np.testing.assert_allclose(fit(examples)[0], fit(examples.swapped())[0], atol=1e-12)


def test_votes_count_like_repeated_comparisons(examples):
    repeated = examples.take(np.repeat(np.arange(len(examples)), examples.weight.astype(int)))
    repeated = replace(repeated, weight=np.ones(len(repeated)))
    scale = Scale.fit(examples, RECIPE)
    trainings = [NewtonTraining(each, RECIPE, scale) for each in (examples, repeated)]
    for number in range(NewtonTraining.steps):
        one, other = (training.step(number)["loss"] for training in trainings)
        assert one == pytest.approx(other, abs=1e-12)


def test_resumed_fit_equals_uninterrupted_fit(examples):
    scale = Scale.fit(examples, RECIPE)
    whole, half, rest = (NewtonTraining(examples, RECIPE, scale) for _ in range(3))
    for number in range(3):
        half.step(number)
    rest.load(half.state())
    for training, first in ((whole, 0), (rest, 3)):
        for number in range(first, training.steps):
            training.step(number)
    one, other = (training.state()["network"]["linear"] for training in (whole, rest))
    assert (one == other).all()


def test_fit_that_does_not_converge_is_an_error(examples):
    training = NewtonTraining(examples, RECIPE, Scale.fit(examples, RECIPE))
    training.steps = 2
    training.step(0)
    with pytest.raises(RoiRayError, match="not converged in 2 steps"):
        training.step(1)
