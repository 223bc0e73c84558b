"""Train a preference model on labelled comparisons, in this process or on many workers."""

from dataclasses import replace

from roi_ray.preference.comparisons.examples import Examples
from roi_ray.preference.model.networks import LinearUtility, build
from roi_ray.preference.model.preference_model import PreferenceModel
from roi_ray.preference.model.recipes import MlpRecipe, Recipe, UtilityRecipe
from roi_ray.preference.model.scale import Scale
from roi_ray.preference.training.adam import AdamTraining, count_steps_per_epoch
from roi_ray.preference.training.early_stopping import choose_epochs, fix_epochs
from roi_ray.preference.training.newton import NewtonTraining
from roi_ray.runtime.train_worker import State

TRAINING_VERSION = 2
"""Increase it when the same comparisons, recipe and seed would give other weights than before."""


def make_training(
    examples: Examples, recipe: Recipe, scale: Scale, seed: int = 0, device: str = "cpu"
) -> NewtonTraining | AdamTraining:
    """Make the training of a recipe's network.

    Args:
        examples: all comparisons, on every worker.
        recipe: the network and how to train it; with early stopping, for all its epochs.
        scale: standardisation, fitted to the same comparisons.
        seed: seed of the training, where chance has a part in it.
        device: device to train on.
    """
    if isinstance(recipe, MlpRecipe):
        return AdamTraining(examples, recipe, scale, seed, device)
    assert isinstance(recipe, UtilityRecipe)
    return NewtonTraining(examples, recipe, scale, device)


def count_steps_per_checkpoint(recipe: Recipe, comparisons: int) -> int:
    """Compute the number of steps between checkpoints: a tenth of them, or more."""
    if isinstance(recipe, MlpRecipe):
        return count_steps_per_epoch(recipe, comparisons) * max(1, recipe.epochs // 10)
    # Few, because a checkpoint takes longer than a step; the second one shows the final loss.
    return NewtonTraining.steps // 2


def build_trained_model(
    state: State,
    features: tuple[str, ...],
    recipe: Recipe,
    scale: Scale,
) -> PreferenceModel:
    """Build the model of a training's last state.

    Args:
        state: state of a training, see `make_training`.
        features: names of the features that it was trained on.
        recipe: recipe that it was trained by; the model's own names these features.
        scale: standardisation that it was trained with.
    """
    network = build(recipe, len(features))
    network.load_state_dict(state["network"])
    if isinstance(network, LinearUtility):
        weights = network.linear.data
        weights[weights < weights.max() / 1000] = 0
    recipe = replace(recipe, features=features)
    return PreferenceModel(features, recipe, scale, network.eval())


def train_in_process(examples: Examples, recipe: Recipe, seed: int = 0) -> PreferenceModel:
    """Train in this process: for cross-validation, which trains many models on little data.

    Raises:
        ManifestError: early stopping has too few references, see `choose_epochs`.
    """
    if isinstance(recipe, MlpRecipe) and recipe.early_stopping:
        recipe = fix_epochs(recipe, choose_epochs(examples, recipe, seed))
    scale = Scale.fit(examples, recipe)
    training = make_training(examples, recipe, scale, seed)
    for number in range(training.steps):
        training.step(number)
    return build_trained_model(training.state(), examples.features, recipe, scale)
