import dataclasses

import numpy as np
import pytest

from roi_ray import schema
from roi_ray.preference.examples import to_examples
from roi_ray.preference.recipes import RECIPES
from roi_ray.preference.scale import Scale
from roi_ray.preference.training import PreferenceTraining, build_trained_model, train_in_process
from tests.preference.synthetic import comparisons


@pytest.fixture(scope="module")
def examples():
    return to_examples(comparisons(), schema.PAPER_FEATURES, "synthetic")


@pytest.fixture(scope="module")
def others():
    return to_examples(comparisons(seed=1), schema.PAPER_FEATURES, "synthetic")


def accuracy(model, examples):
    return ((model.predict(examples.a, examples.b) > 0.5) == (examples.p_a > 0.5)).mean()


def short(name):
    return dataclasses.replace(RECIPES[name], epochs=20)


@pytest.mark.parametrize("name", RECIPES)
def test_trained_model_predicts_people_on_new_references(examples, others, name):
    assert accuracy(train_in_process(examples, short(name)), others) > 0.8


@pytest.mark.parametrize("name", RECIPES)
def test_same_seed_gives_same_model(examples, name):
    models = [train_in_process(examples, short(name), seed) for seed in (1, 1, 2)]
    one, same, other = (model.predict(examples.a, examples.b) for model in models)
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_swapped_comparisons_give_the_same_utility_model(examples):
    recipe = short("roi-ray")
    one, other = (train_in_process(given, recipe) for given in (examples, examples.swapped()))
    np.testing.assert_allclose(
        one.predict(examples.a, examples.b), other.predict(examples.a, examples.b), atol=1e-3
    )


@pytest.mark.parametrize("name", RECIPES)
def test_resumed_training_equals_uninterrupted_training(examples, name):
    recipe = dataclasses.replace(RECIPES[name], epochs=4)
    scale = Scale.fit(examples, recipe)
    whole, half, rest = (PreferenceTraining(examples, recipe, scale, 3) for _ in range(3))
    for number in range(12):
        whole.step(number)
    for number in range(5):
        half.step(number)
    rest.load(half.state())
    for number in range(5, 12):
        rest.step(number)
    one, other = (
        build_trained_model(training.state(), examples.features, recipe, scale)
        for training in (whole, rest)
    )
    assert np.array_equal(
        one.predict(examples.a, examples.b), other.predict(examples.a, examples.b)
    )


def test_answers_with_low_weight_hardly_change_the_model(examples):
    votes = np.ones(len(examples))
    wrong = np.arange(len(examples)) % 2 == 0
    mixed = dataclasses.replace(
        examples,
        p_a=np.where(wrong, 1 - examples.p_a, examples.p_a),
        weight=np.where(wrong, 0.01, votes),
    )
    assert accuracy(train_in_process(mixed, short("roi-ray")), examples) > 0.8


def test_scaling_all_votes_does_not_change_the_model(examples):
    recipe = short("roi-ray")
    once, often = (
        train_in_process(dataclasses.replace(examples, weight=examples.weight * factor), recipe)
        for factor in (1, 1000)
    )
    np.testing.assert_allclose(
        once.predict(examples.a, examples.b), often.predict(examples.a, examples.b), atol=1e-4
    )


def test_large_seed_is_accepted(examples):
    train_in_process(examples, short("roi-ray"), 20260101123456)
