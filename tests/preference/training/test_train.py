import dataclasses

import numpy as np
import pytest

from roi_ray import schema
from roi_ray.preference.comparisons.examples import to_examples
from roi_ray.preference.model.recipes import RECIPES, find_recipe
from roi_ray.preference.model.scale import Scale
from roi_ray.preference.training.train import build_trained_model, make_training, train_in_process
from tests.preference.synthetic import comparisons


@pytest.fixture(scope="module")
def examples():
    return to_examples(comparisons(), schema.PAPER_FEATURES, "synthetic")


@pytest.fixture(scope="module")
def others():
    return to_examples(comparisons(seed=1), schema.PAPER_FEATURES, "synthetic")


def accuracy(model, examples):
    return ((predict(model, examples) > 0.5) == (examples.p_a > 0.5)).mean()


def predict(model, examples):
    chosen = examples.only(model.features)
    return model.predict(chosen.a, chosen.b)


def find_short_recipe(name, epochs):
    return find_recipe(name, epochs if name == "paper" else None)


@pytest.mark.parametrize("name", RECIPES)
def test_trained_model_predicts_people_on_new_references(examples, others, name):
    model = train_in_process(examples, find_short_recipe(name, 15))
    assert accuracy(model, others) > 0.8
    assert model.features == model.recipe.features == schema.PAPER_FEATURES


def test_paper_model_depends_on_the_seed_alone(examples):
    recipe = find_recipe("paper", 2)
    models = [train_in_process(examples, recipe, seed) for seed in (1, 1, 20260101123456)]
    one, same, other = (predict(model, examples) for model in models)
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_resumed_paper_training_equals_uninterrupted_training(examples):
    recipe = find_recipe("paper", 2)
    scale = Scale.fit(examples, recipe)
    whole, half, rest = (make_training(examples, recipe, scale) for _ in range(3))
    assert whole.steps == 2 * 8  # 480 comparisons in batches of about 64
    for number in range(11):
        half.step(number)
    rest.load(half.state())
    for training, first in ((whole, 0), (rest, 11)):
        for number in range(first, training.steps):
            training.step(number)
    one, other = (
        build_trained_model(training.state(), examples.features, recipe, scale)
        for training in (whole, rest)
    )
    assert np.array_equal(predict(one, examples), predict(other, examples))


def test_loss_of_the_paper_network_is_the_mean_of_both_orders_over_votes(examples):
    votes = np.random.default_rng(0).integers(1, 9, len(examples)).astype(float)
    weighted = dataclasses.replace(examples, weight=votes, p_a=0.9 * examples.p_a + 0.03)
    recipe = dataclasses.replace(find_recipe("paper", 1), batch_size=len(examples))
    scale = Scale.fit(weighted, recipe)
    training = make_training(weighted, recipe, scale)
    a, b = (scale(side, weighted.features).float() for side in (weighted.a, weighted.b))
    losses = []
    for first, second, target in ((a, b, weighted.p_a), (b, a, 1 - weighted.p_a)):
        p = 1 / (1 + np.exp(-training.network(first, second).detach().double().numpy()))
        losses.append(-target * np.log(p) - (1 - target) * np.log(1 - p))
    expected = np.average(np.mean(losses, axis=0), weights=votes)
    assert training.step(0)["loss"] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("name", RECIPES)
def test_answers_with_low_weight_hardly_change_the_model(examples, name):
    wrong = np.arange(len(examples)) % 2 == 0
    mixed = dataclasses.replace(
        examples,
        p_a=np.where(wrong, 1 - examples.p_a, examples.p_a),
        weight=np.where(wrong, 0.01, 1.0),
    )
    assert accuracy(train_in_process(mixed, find_short_recipe(name, 15)), examples) > 0.8


@pytest.mark.parametrize("name", RECIPES)
def test_scaling_all_votes_does_not_change_the_model(examples, name):
    once, often = (
        train_in_process(
            dataclasses.replace(examples, weight=examples.weight * factor),
            find_short_recipe(name, 1),
        )
        for factor in (1, 1000)
    )
    np.testing.assert_allclose(predict(once, examples), predict(often, examples), atol=1e-4)
