import dataclasses

import numpy as np
import pytest
import torch

from roi_ray import schema
from roi_ray.preference.examples import to_examples
from roi_ray.preference.model import Scale
from roi_ray.preference.recipes import RECIPES
from roi_ray.preference.training import PreferenceTraining, finished, train_in_process
from tests.preference.synthetic import comparisons


@pytest.fixture(scope="module")
def examples():
    return to_examples(comparisons(), schema.FEATURES, "synthetic")


@pytest.fixture(scope="module")
def others():
    return to_examples(comparisons(seed=1), schema.FEATURES, "synthetic")


def accuracy(model, examples):
    return ((model.predict(examples.a, examples.b) > 0.5) == (examples.p_a > 0.5)).mean()


def short(name):
    return dataclasses.replace(RECIPES[name], epochs=20)


@pytest.mark.parametrize("name", RECIPES)
def test_it_learns_what_people_follow(examples, others, name):
    assert accuracy(train_in_process(examples, short(name)), others) > 0.8


@pytest.mark.parametrize("name", RECIPES)
def test_the_same_seed_gives_the_same_model(examples, name):
    models = [train_in_process(examples, short(name), seed) for seed in (1, 1, 2)]
    one, same, other = (model.predict(examples.a, examples.b) for model in models)
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_exchanged_comparisons_give_the_same_utilities(examples):
    recipe = short("roi-ray")
    one, other = (train_in_process(given, recipe) for given in (examples, examples.swapped()))
    np.testing.assert_allclose(
        one.predict(examples.a, examples.b), other.predict(examples.a, examples.b), atol=1e-3
    )


def test_a_loaded_state_goes_on_as_if_it_had_never_stopped(examples):
    recipe = dataclasses.replace(RECIPES["ensemble"], epochs=4)
    scale = Scale.of(examples, recipe)
    whole, half, rest = (PreferenceTraining(examples, recipe, scale, 3) for _ in range(3))
    for number in range(12):
        whole.step(number)
    for number in range(5):
        half.step(number)
    rest.load(half.state())
    for number in range(5, 12):
        rest.step(number)
    one, other = (
        finished(training.state(), examples.features, recipe, scale) for training in (whole, rest)
    )
    assert np.array_equal(
        one.predict(examples.a, examples.b), other.predict(examples.a, examples.b)
    )


def test_each_member_leaves_out_its_own_references_and_keeps_its_best(examples):
    recipe = dataclasses.replace(RECIPES["ensemble"], members=3, epochs=3)
    scale = Scale.of(examples, recipe)
    training = PreferenceTraining(examples, recipe, scale, 2)
    # Members are independent, so the answers a member leaves out cannot move its weights.
    turned = dataclasses.replace(
        examples, p_a=np.where(examples.group % 3 == 1, 1 - examples.p_a, examples.p_a)
    )
    other = PreferenceTraining(turned, recipe, scale, 2)
    for number in range(6):
        training.step(number)
        other.step(number)
    one, two = (t.state()["network"]["linear"] for t in (training, other))
    assert torch.equal(one[1], two[1])
    assert not torch.equal(one[0], two[0])
    best = training.state()["best_loss"]
    assert best.shape == (3,)
    assert (best < 0.7).all()


def test_votes_weigh(examples):
    # Answers turned round, but with votes that hardly count.
    votes = np.ones(len(examples))
    turned = np.arange(len(examples)) % 2 == 0
    mixed = dataclasses.replace(
        examples,
        p_a=np.where(turned, 1 - examples.p_a, examples.p_a),
        weight=np.where(turned, 0.01, votes),
    )
    assert accuracy(train_in_process(mixed, short("roi-ray")), examples) > 0.8


def test_votes_weigh_against_each_other_and_not_against_the_decay(examples):
    recipe = short("roi-ray")
    once, often = (
        train_in_process(dataclasses.replace(examples, weight=examples.weight * factor), recipe)
        for factor in (1, 1000)
    )
    np.testing.assert_allclose(
        once.predict(examples.a, examples.b), often.predict(examples.a, examples.b), atol=1e-4
    )


def test_a_date_may_be_a_seed(examples):
    train_in_process(examples, short("roi-ray"), 20260101123456)


def test_members_that_leave_nothing_out_end_with_the_last_epoch():
    few = to_examples(comparisons(references=4, each=60), schema.FEATURES, "few")
    recipe = dataclasses.replace(RECIPES["ensemble"], epochs=10)
    training = PreferenceTraining(few, recipe, Scale.of(few, recipe), 3)
    for number in range(training.steps):
        training.step(number)
    state = training.state()
    for name, tensor in state["network"].items():
        # Four references: members 4 to 7 have none of their own.
        assert torch.equal(state["best"][name][4:], tensor[4:])
