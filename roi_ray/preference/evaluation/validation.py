"""Cross-validation by reference, of models and of the simple rules they must beat."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context

import numpy as np
import torch
from numpy.typing import NDArray

from roi_ray import schema
from roi_ray.errors import ManifestError
from roi_ray.preference.comparisons.examples import Examples, Floats
from roi_ray.preference.model.recipes import Recipe
from roi_ray.preference.training.train import train_in_process

Predictor = Callable[[Examples], Floats]
"""Maps comparisons to P(people prefer a), (N,)."""
Learner = Callable[[Examples, int], Predictor]
"""Trains a predictor on comparisons, with a seed."""
Fold = tuple[Learner, Examples, Examples, int]
"""What trains on some comparisons and predicts others, and the seed."""
Map = Callable[[Callable[[Fold], Floats], Iterable[Fold]], Iterable[Floats]]
"""Runs a function on every fold, in order: `map`, or the `map` of a pool of processes."""


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


def predict_out_of_fold(
    examples: Examples, learner: Learner, folds: int, repeats: int, run: Map = map
) -> Floats:
    """Predict every comparison by a model that was not trained on its reference.

    Args:
        examples: labelled comparisons.
        learner: function that trains a model.
        folds: number of folds.
        repeats: number of different assignments to folds.
        run: function that runs the folds, see `open_pool`.

    Returns:
        P(people prefer a), (repeats, N).

    Raises:
        ManifestError: there is a single reference, so that nothing is left to train on.
    """
    if len(np.unique(examples.group)) < 2:
        raise ManifestError("too few references: cross-validation needs at least 2")
    assigned = [assign_folds(examples.group, folds, repeat) for repeat in range(repeats)]
    tests = [
        (repeat, fold == number) for repeat, fold in enumerate(assigned) for number in set(fold)
    ]
    parts = ((learner, examples.take(~test), examples.take(test), repeat) for repeat, test in tests)
    predicted = np.empty((repeats, len(examples)))
    for (repeat, test), values in zip(tests, run(_predict_fold, parts), strict=True):
        predicted[repeat, test] = values
    return predicted


@contextmanager
def open_pool(processes: int) -> Iterator[Map]:
    """Open a pool of processes for `predict_out_of_fold`; with 1, all runs in this process.

    The processes import the main module again: a script needs `if __name__ == "__main__"`.
    """
    if processes == 1:
        yield map
        return
    # Each network is too small to gain from more threads. A forked process may hang in torch.
    pool = ProcessPoolExecutor(
        processes, get_context("spawn"), initializer=torch.set_num_threads, initargs=(1,)
    )
    try:
        yield pool.map
    finally:
        pool.shutdown(cancel_futures=True)


def _predict_fold(fold: Fold) -> Floats:
    learner, seen, others, seed = fold
    return learner(seen, seed)(others)


def recipe_learner(recipe: Recipe, features: tuple[str, ...]) -> Learner:
    """Make a learner that trains a recipe on some of the features."""
    return partial(_learn, recipe, features)


def _learn(recipe: Recipe, features: tuple[str, ...], examples: Examples, seed: int) -> Predictor:
    model = train_in_process(examples.only(features), recipe, seed)

    def predict(others: Examples) -> Floats:
        chosen = others.only(model.features)
        return model.predict(chosen.a, chosen.b)

    return predict


def predict_by_metric(examples: Examples, feature: str) -> Floats:
    """Predict by one metric alone: 1 where `a` is better, 0 where `b` is, 0.5 if equal, (N,)."""
    chosen = examples.only([feature])
    difference = (chosen.a - chosen.b)[:, 0]
    better = -difference if schema.MEANINGS[feature].better == "lower" else difference
    return (1 + np.sign(better)) / 2
