"""Cross-validation by reference, of models and of the simple rules they must beat."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from roi_ray import schema
from roi_ray.errors import ManifestError
from roi_ray.preference.examples import Examples, Floats
from roi_ray.preference.measures import log_loss
from roi_ray.preference.recipes import Recipe
from roi_ray.preference.training import train_in_process

Predictor = Callable[[Examples], Floats]
Learner = Callable[[Examples, int], Predictor]
"""Training comparisons and a seed -> what gives P(people prefer a) of others."""

_RIDGE = 1.0


def folds(group: NDArray[np.int64], count: int, seed: int) -> NDArray[np.int64]:
    """A fold's number for each comparison, (N,); no reference is in two folds.

    Args:
        group: references' numbers, (N,).
        count: folds; fewer where there are fewer references.
        seed: another one, another division.
    """
    references = np.unique(group)
    order = np.random.default_rng(seed).permutation(len(references))
    fold = np.empty(group.max() + 1, np.int64)
    fold[references[order]] = np.arange(len(references)) % count
    return fold[group]


def predict_out_of_fold(examples: Examples, learner: Learner, count: int, repeats: int) -> Floats:
    """Predictions for comparisons of references that were not trained on.

    Returns:
        P(people prefer a), (repeats, N).

    Raises:
        ManifestError: of one reference alone: there is nothing left to train on.
    """
    if len(np.unique(examples.group)) < 2:
        raise ManifestError("too few references: with one held out, at least 2 must be left")
    predicted = np.empty((repeats, len(examples)))
    for repeat in range(repeats):
        fold = folds(examples.group, count, repeat)
        for number in np.unique(fold):
            held = fold == number
            predictor = learner(examples.take(~held), repeat)
            predicted[repeat, held] = predictor(examples.take(held))
    return predicted


def recipe_learner(recipe: Recipe, features: tuple[str, ...]) -> Learner:
    """Trains a recipe on some of the features."""

    def learn(examples: Examples, seed: int) -> Predictor:
        model = train_in_process(examples.only(features), recipe, seed)

        def predict(others: Examples) -> Floats:
            chosen = others.only(features)
            return model.predict(chosen.a, chosen.b)

        return predict

    return learn


def nested_learner(
    recipes: Mapping[str, Recipe],
    features: tuple[str, ...],
    report: Callable[[str], None] = lambda name: None,
    count: int = 4,
) -> Learner:
    """Chooses a recipe by cross-validation inside the training comparisons, then trains it.

    So the choice, too, is made without those that it is judged by.

    Args:
        recipes: to choose from, by log-loss.
        features: names.
        report: receives the name of what is chosen.
        count: folds of the inner cross-validation.
    """

    def learn(examples: Examples, seed: int) -> Predictor:
        losses = {}
        for name, recipe in recipes.items():
            predicted = predict_out_of_fold(examples, recipe_learner(recipe, features), count, 1)[0]
            loss = log_loss(predicted, examples.p_a)
            losses[name] = float(np.average(loss, weights=examples.weight))
        chosen = min(losses, key=losses.__getitem__)
        report(chosen)
        return recipe_learner(recipes[chosen], features)(examples, seed)

    return learn


def logistic_learner(features: tuple[str, ...]) -> Learner:
    """Logistic regression on standardised differences, without intercept; a slight ridge."""

    def learn(examples: Examples, seed: int) -> Predictor:
        chosen = examples.only(features)
        difference = chosen.a - chosen.b
        # About zero, and not about their mean: exchanging the candidates must change nothing.
        spread = np.maximum(np.sqrt((difference**2).mean(0)), 1e-12)
        weights = _newton(difference / spread, chosen.p_a, chosen.weight)

        def predict(others: Examples) -> Floats:
            chosen = others.only(features)
            return _sigmoid((chosen.a - chosen.b) / spread @ weights)

        return predict

    return learn


def predict_by_metric(examples: Examples, feature: str) -> Floats:
    """One metric by itself: 1 where it says a, 0 where b, 0.5 where it is equal; (N,)."""
    chosen = examples.only([feature])
    difference = (chosen.a - chosen.b)[:, 0]
    better = -difference if schema.MEANINGS[feature].better == "lower" else difference
    return (1 + np.sign(better)) / 2


def _newton(x: Floats, p_a: Floats, weight: Floats, steps: int = 30) -> Floats:
    coefficients = np.zeros(x.shape[1])
    for _ in range(steps):
        p = _sigmoid(x @ coefficients)
        gradient = x.T @ (weight * (p_a - p)) - _RIDGE * coefficients
        curvature = (x * (weight * p * (1 - p))[:, None]).T @ x + _RIDGE * np.eye(x.shape[1])
        step = np.linalg.solve(curvature, gradient)
        coefficients = coefficients + step
        if np.abs(step).max() < 1e-9:
            break
    return coefficients


def _sigmoid(x: Floats) -> Floats:
    # Both branches are computed; neither overflows.
    small: Floats = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + small), small / (1 + small))
