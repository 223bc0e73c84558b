"""Cross-validation by reference, of models and of the simple rules they must beat."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from roi_ray import schema
from roi_ray.errors import ManifestError
from roi_ray.preference.examples import Examples, Floats
from roi_ray.preference.recipes import Recipe
from roi_ray.preference.training import train_in_process

Predictor = Callable[[Examples], Floats]
"""Maps comparisons to P(people prefer a), (N,)."""
Learner = Callable[[Examples, int], Predictor]
"""Trains a predictor on comparisons, with a seed."""


def assign_folds(group: NDArray[np.int64], count: int, seed: int) -> NDArray[np.int64]:
    """Assign comparisons to folds, such that no reference is in two of them.

    Args:
        group: number of each comparison's reference, (N,).
        count: number of folds; there are fewer where there are fewer references.
        seed: seed of the random assignment.

    Returns:
        number of each comparison's fold, (N,).
    """
    references = np.unique(group)
    order = np.random.default_rng(seed).permutation(len(references))
    fold = np.empty(group.max() + 1, np.int64)
    fold[references[order]] = np.arange(len(references)) % count
    return fold[group]


def predict_out_of_fold(examples: Examples, learner: Learner, folds: int, repeats: int) -> Floats:
    """Predict every comparison by a model that was not trained on its reference.

    Args:
        examples: labelled comparisons.
        learner: function that trains a model.
        folds: number of folds.
        repeats: number of different assignments to folds.

    Returns:
        P(people prefer a), (repeats, N).

    Raises:
        ManifestError: there is a single reference, so that nothing is left to train on.
    """
    if len(np.unique(examples.group)) < 2:
        raise ManifestError("too few references: cross-validation needs at least 2")
    predicted = np.empty((repeats, len(examples)))
    for repeat in range(repeats):
        fold = assign_folds(examples.group, folds, repeat)
        for number in np.unique(fold):
            test = fold == number
            predictor = learner(examples.take(~test), repeat)
            predicted[repeat, test] = predictor(examples.take(test))
    return predicted


def recipe_learner(recipe: Recipe, features: tuple[str, ...]) -> Learner:
    """Make a learner that trains a recipe on some of the features."""

    def learn(examples: Examples, seed: int) -> Predictor:
        model = train_in_process(examples.only(features), recipe, seed)

        def predict(others: Examples) -> Floats:
            chosen = others.only(model.features)
            return model.predict(chosen.a, chosen.b)

        return predict

    return learn


def predict_by_metric(examples: Examples, feature: str) -> Floats:
    """Predict by one metric alone: 1 where `a` is better, 0 where `b` is, 0.5 if equal, (N,)."""
    chosen = examples.only([feature])
    difference = (chosen.a - chosen.b)[:, 0]
    better = -difference if schema.MEANINGS[feature].better == "lower" else difference
    return (1 + np.sign(better)) / 2
