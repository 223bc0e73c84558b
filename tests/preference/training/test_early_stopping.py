from dataclasses import replace

import numpy as np
import pytest

from roi_ray import schema
from roi_ray.errors import ManifestError
from roi_ray.preference.comparisons.examples import to_examples
from roi_ray.preference.model.recipes import RECIPES, find_recipe
from roi_ray.preference.statistics.measures import log_loss
from roi_ray.preference.training import early_stopping
from roi_ray.preference.training.early_stopping import choose_epochs, fix_epochs
from roi_ray.preference.training.train import train_in_process
from tests.preference.synthetic import comparisons

PAPER = RECIPES["paper"]


@pytest.fixture(scope="module")
def examples():
    """Answers that are hard to predict: the network overfits within a few epochs."""
    return to_examples(comparisons(noise=3, seed=2), schema.PAPER_FEATURES, "synthetic")


def test_epochs_are_those_with_the_lowest_log_loss_on_held_out_references(examples, monkeypatch):
    seen = []
    fit = early_stopping.Scale.fit
    monkeypatch.setattr(
        early_stopping.Scale, "fit", lambda given, recipe: seen.append(given) or fit(given, recipe)
    )
    choice = choose_epochs(examples, replace(PAPER, epochs=6), seed=1)
    (training_examples,) = seen
    held_out = examples.take(~np.isin(examples.group, training_examples.group))
    # A fifth of 12 references, none of which is also trained on.
    assert len(np.unique(held_out.group)) == choice.held_out == 2
    assert len(np.unique(training_examples.group)) == 10
    losses = []
    for epochs in range(1, 7):
        model = train_in_process(training_examples, find_recipe("paper", epochs), seed=1)
        losses.append(log_loss(model.predict(held_out.a, held_out.b), held_out.p_a).mean())
    assert choice.epochs == np.argmin(losses) + 1
    assert choice.log_loss == pytest.approx(min(losses))


def test_other_seeds_hold_out_other_references(examples):
    one, same, other = (choose_epochs(examples, replace(PAPER, epochs=1), s) for s in (0, 0, 1))
    assert one == same
    assert one.log_loss != other.log_loss


def test_training_ends_after_epochs_without_a_better_one(examples, monkeypatch):
    predictions = []
    predict = early_stopping.PreferenceModel.predict
    monkeypatch.setattr(
        early_stopping.PreferenceModel,
        "predict",
        lambda *arguments: predictions.append(1) or predict(*arguments),
    )
    choice = choose_epochs(examples, PAPER)
    assert len(predictions) == choice.epochs + 10 < PAPER.epochs


def test_final_training_sees_all_references_for_the_chosen_epochs(examples):
    recipe = replace(PAPER, epochs=3)
    model = train_in_process(examples, recipe)
    fixed = fix_epochs(recipe, choose_epochs(examples, recipe))
    assert model.recipe == fixed
    assert not fixed.early_stopping
    again = train_in_process(examples, fixed)
    assert np.array_equal(
        model.predict(examples.a, examples.b), again.predict(examples.a, examples.b)
    )


def test_three_references_are_enough_and_two_are_refused(examples):
    few = examples.take(examples.group < 3)
    assert choose_epochs(few, replace(PAPER, epochs=1)).held_out == 1
    with pytest.raises(ManifestError, match="only 2 to train on.*`--epochs 50`"):
        choose_epochs(examples.take(examples.group < 2), PAPER)
