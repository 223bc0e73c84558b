"""What an evaluation compares: recipes, single metrics, methods' names, and trained models."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import pyarrow as pa

from roi_ray.errors import ManifestError
from roi_ray.preference.comparisons.examples import Examples, Floats, select_basic
from roi_ray.preference.evaluation.method_names import NamedAnswers, predict_by_method
from roi_ray.preference.evaluation.validation import open_pool, predict_out_of_fold, recipe_learner
from roi_ray.preference.model.leakage import share_trained_on
from roi_ray.preference.model.preference_model import PreferenceModel
from roi_ray.preference.model.recipes import DEFAULT_RECIPE, RECIPES, MlpRecipe, Recipe, find_recipe
from roi_ray.preference.training.early_stopping import MIN_TRAINED_ON

Kind = Literal["recipe", "model", "method name", "metric"]

METHOD_NAME = "method's name alone"


@dataclass(frozen=True)
class Contender:
    """Predictions of one contender.

    Attributes:
        name: name in the report.
        kind: what it is.
        predicted: P(people prefer a), (repeats, N); a trained model has one repeat.
    """

    name: str
    kind: Kind
    predicted: Floats


def predict_by_all(
    recipes: Mapping[str, Recipe],
    models: Mapping[str, PreferenceModel],
    methods: NamedAnswers | None,
    table: pa.Table,
    examples: Examples,
    name: str,
    folds: int,
    repeats: int,
    processes: int,
    report: Callable[[str], None],
) -> list[Contender]:
    """Predict all comparisons by every contender, each on references that it was not trained on.

    Args:
        recipes: recipes by name; each is trained on its basic features and on all.
        models: trained models by their source, which predict as they are.
        methods: the comparisons of two different methods; None if there are none.
        table: the comparisons.
        examples: the comparisons as arrays, with all features that the contenders need.
        name: name of the comparisons, for error messages.
        folds: see `predict_out_of_fold`.
        repeats: see `predict_out_of_fold`.
        processes: number of processes that train the paper's networks.
        report: function that receives lines about the progress.
    """
    # Models first: one that cannot be used fails before the long cross-validations.
    contenders = [
        Contender(
            _model_name(source, model, examples), "model", model.predict_table(table, name)[None]
        )
        for source, model in models.items()
    ]
    trained: list[tuple[Kind, str, Recipe, tuple[str, ...]]] = [
        *(("recipe", *each) for each in name_recipes(recipes)),
        *(("metric", *each) for each in name_metrics(examples.features)),
    ]
    # Only networks are worth a process: the other recipes are fitted in milliseconds.
    slow = any(isinstance(recipe, MlpRecipe) for recipe in recipes.values())
    found = []
    with open_pool(processes if slow else 1) as run:
        for number, (kind, label, recipe, features) in enumerate(trained, 1):
            report(f"{number}/{len(trained)} {label}: {folds} folds x {repeats}")
            learner = recipe_learner(recipe, features)
            mapping = run if isinstance(recipe, MlpRecipe) else map
            predicted = predict_out_of_fold(examples, learner, folds, repeats, mapping)
            found.append(Contender(label, kind, predicted))
    contenders = [each for each in found if each.kind == "recipe"] + contenders
    if methods is not None:
        predicted = predict_by_method(methods, examples, folds, repeats)
        contenders.append(Contender(METHOD_NAME, "method name", predicted))
    return contenders + [each for each in found if each.kind == "metric"]


def check_early_stopping(recipes: Mapping[str, Recipe], references: int, folds: int) -> None:
    """Check that enough references are left to train on, of which early stopping holds some out.

    Args:
        recipes: recipes by name.
        references: number of all references.
        folds: number of folds, at most `references`.

    Raises:
        ManifestError: there are too few.
    """
    left = references - math.ceil(references / folds)
    for name, recipe in recipes.items():
        if isinstance(recipe, MlpRecipe) and recipe.early_stopping and left < MIN_TRAINED_ON:
            raise ManifestError(
                f"recipe {name} stops early, for which it needs {MIN_TRAINED_ON} references to "
                f"train on; {folds} folds of {references} references leave {left}: choose "
                f"--recipe {DEFAULT_RECIPE}"
            )


def choose_variants(names: Sequence[str]) -> dict[str, Recipe]:
    """Find recipes by name, and add those that stop early without early stopping.

    Raises:
        UsageError: a recipe is unknown.
    """
    variants = {}
    for name in names:
        variants[name] = recipe = find_recipe(name)
        if isinstance(recipe, MlpRecipe) and recipe.early_stopping:
            variants[f"{name}, {recipe.epochs} epochs"] = find_recipe(name, recipe.epochs)
    return variants


def name_recipes(recipes: Mapping[str, Recipe]) -> list[tuple[str, Recipe, tuple[str, ...]]]:
    """Name each recipe on its basic features and on all, with the recipe and the features."""
    return [
        (f"{label} {name}", recipe, features)
        for name, recipe in recipes.items()
        for label, features in (
            ("BASIC", select_basic(recipe.features)),
            ("ROI", recipe.features),
        )
    ]


def name_metrics(features: Sequence[str]) -> list[tuple[str, Recipe, tuple[str, ...]]]:
    """Name each metric alone: the default recipe with this one feature."""
    return [
        (feature, replace(RECIPES[DEFAULT_RECIPE], features=(feature,)), (feature,))
        for feature in features
    ]


def _model_name(source: str, model: PreferenceModel, examples: Examples) -> str:
    share = share_trained_on(examples.only(model.features), model.provenance)
    remark = f", trained on {100 * share:.0f} % of these answers" if share else ""
    return f"model {source}{remark}"
