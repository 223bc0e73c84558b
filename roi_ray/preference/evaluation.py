"""Evaluate preference models: all models, rules and people on the same held-out answers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from roi_ray.preference import measures
from roi_ray.preference.breakdown import (
    REPEATED_QUESTIONS,
    Mask,
    number_questions,
    split_into_parts,
)
from roi_ray.preference.comparisons import Comparisons
from roi_ray.preference.examples import (
    Examples,
    Floats,
    select_basic,
    select_trainable,
    to_examples,
)
from roi_ray.preference.leakage import share_trained_on
from roi_ray.preference.model import load_preference_model
from roi_ray.preference.recipes import RECIPES, Recipe, find_recipe
from roi_ray.preference.regions import lack_region
from roi_ray.preference.validation import (
    predict_by_metric,
    predict_out_of_fold,
    recipe_learner,
)

PAPER_ACCURACY = {"BASIC": 0.7672, "ROI": 0.784}
"""Accuracies in Table 1 of the paper, on CLIC's data: not comparable with other data."""


@dataclass(frozen=True)
class ModelResult:
    """Result of one model or rule.

    Attributes:
        name: name of the model or rule.
        accuracy: share of people's answers that are predicted, 0..1; higher is better.
        log_loss: mean cross-entropy in nats; lower is better; None for rules, which give no
            probability.
        calibration_error: expected calibration error, 0..1; lower is better; None for rules.
        accuracy_by_part: accuracy in parts of the comparisons, by name of the part.
    """

    name: str
    accuracy: measures.Interval
    log_loss: float | None
    calibration_error: float | None
    accuracy_by_part: Mapping[str, float]


@dataclass(frozen=True)
class Evaluation:
    """The result of `evaluate`.

    Attributes:
        comparisons: number of comparisons that were evaluated on.
        references: number of their references.
        without_region: number of comparisons without a region of interest, in which the basic
            features take the place of the `roi_` features, also where a metric is judged alone.
        results: models and rules, in the order of the report.
        differences: differences of accuracy between two models or rules, by name.
        ceiling: how often people agree with each other; None where no question was asked twice.
        reliability: predicted probabilities against answers, by name of the model.
        part_sizes: number of comparisons in each part.
    """

    comparisons: int
    references: int
    without_region: int
    results: Sequence[ModelResult]
    differences: Mapping[str, measures.PairedDifference]
    ceiling: measures.HumanCeiling | None
    reliability: Mapping[str, Sequence[measures.ReliabilityBin]]
    part_sizes: Mapping[str, int]

    def to_json(self) -> dict[str, Any]:
        """Convert to JSON values, and add the paper's accuracies."""
        return {**asdict(self), "paper": PAPER_ACCURACY}


def evaluate(
    comparisons: Comparisons,
    recipes: Sequence[str] = tuple(RECIPES),
    *,
    models: Sequence[str] = (),
    folds: int = 5,
    repeats: int = 3,
    report: Callable[[str], None] = lambda line: None,
) -> Evaluation:
    """Cross-validate recipes by reference, and compare with single metrics and logistic regression.

    Args:
        comparisons: labelled comparisons with all eight features of both sides.
        recipes: names in `RECIPES`; each is trained on the basic features and on all eight.
        models: trained models to evaluate as they are. Their accuracy is honest only on references
            that they were not trained on. If a model was trained on some of these answers, its
            name in the results says on what share.
        folds: number of folds of each cross-validation.
        repeats: number of cross-validations, with different folds.
        report: function that receives lines about the progress.

    Raises:
        UsageError: a recipe is unknown.
        ManifestError: the comparisons cannot be trained on; see `to_examples`.
        WeightsError: a model cannot be loaded.
    """
    chosen = {name: find_recipe(name) for name in recipes}
    sets = {name: _feature_sets(recipe) for name, recipe in chosen.items()}
    features = tuple(dict.fromkeys(name for s in sets.values() for f in s.values() for name in f))
    examples = to_examples(comparisons.table, features, comparisons.name)
    references = len(np.unique(examples.group))
    folds = min(folds, references)
    table = select_trainable(comparisons.table, features)
    questions, answers = number_questions(table)
    parts = split_into_parts(table, examples)
    if (repeated := np.bincount(questions)[questions] > 1).any():
        parts[REPEATED_QUESTIONS] = repeated
    # Load models first: one that cannot be used fails before the long cross-validations.
    trained = _predict_by_models(models, table, examples, comparisons.name)
    predicted: dict[str, Floats] = {}
    for name, recipe in chosen.items():
        for label, names in sets[name].items():
            report(f"{label}, recipe {name}: {folds} folds x {repeats}")
            learner = recipe_learner(recipe, names)
            predicted[f"{label} {name}"] = predict_out_of_fold(examples, learner, folds, repeats)
    predicted |= trained
    rules = {feature: predict_by_metric(examples, feature)[None] for feature in features}
    results = [_result(name, p, examples, parts, rule=False) for name, p in predicted.items()]
    results += [_result(name, p, examples, parts, rule=True) for name, p in rules.items()]
    return Evaluation(
        comparisons=len(examples),
        references=references,
        without_region=int(lack_region(table).sum()),
        results=results,
        differences=_differences(predicted, rules, examples, recipes),
        ceiling=measures.human_ceiling(questions, answers),
        reliability={name: _reliability(p, examples) for name, p in predicted.items()},
        part_sizes={name: int(mask.sum()) for name, mask in parts.items()},
    )


def _feature_sets(recipe: Recipe) -> dict[str, tuple[str, ...]]:
    return {"BASIC": select_basic(recipe.features), "ROI": recipe.features}


def _predict_by_models(
    models: Sequence[str], table: pa.Table, examples: Examples, name: str
) -> dict[str, Floats]:
    """Predict P(people prefer a), (1, N), with each trained model, by its name in the report."""
    predicted = {}
    for source in models:
        model = load_preference_model(source)
        share = share_trained_on(examples.only(model.features), model.provenance)
        remark = f", trained on {100 * share:.0f} % of these answers" if share else ""
        predicted[f"model {source}{remark}"] = model.predict_table(table, name)[None]
    return predicted


def _result(
    name: str, predicted: Floats, examples: Examples, parts: Mapping[str, Mask], *, rule: bool
) -> ModelResult:
    agreement = _mean_agreement(predicted, examples)
    loss = np.mean([measures.log_loss(p, examples.p_a) for p in predicted], axis=0)
    return ModelResult(
        name,
        measures.mean_over_references(agreement, examples),
        None if rule else float(np.average(loss, weights=examples.weight)),
        None if rule else measures.expected_calibration_error(_reliability(predicted, examples)),
        {
            part: float(np.average(agreement[mask], weights=examples.weight[mask]))
            for part, mask in parts.items()
        },
    )


def _reliability(predicted: Floats, examples: Examples) -> list[measures.ReliabilityBin]:
    truth, weight = (
        np.tile(x, len(predicted)) for x in (examples.p_a, examples.weight / len(predicted))
    )
    return measures.reliability(predicted.ravel(), truth, weight)


def _mean_agreement(predicted: Floats, examples: Examples) -> Floats:
    """Compute the agreement with each comparison's answer, mean over repeats, (N,)."""
    mean: Floats = np.mean([measures.agreement(p, examples.p_a) for p in predicted], axis=0)
    return mean


def _differences(
    predicted: Mapping[str, Floats],
    rules: Mapping[str, Floats],
    examples: Examples,
    recipes: Sequence[str],
) -> dict[str, measures.PairedDifference]:
    agreement = {name: _mean_agreement(p, examples) for name, p in {**predicted, **rules}.items()}
    best_rule = max(rules, key=lambda rule: np.average(agreement[rule], weights=examples.weight))
    pairs = [(f"ROI {name}", f"BASIC {name}") for name in recipes]
    for name in recipes:
        pairs.append((f"ROI {name}", best_rule))
    return {
        f"{first} - {second}": measures.paired_difference(
            agreement[first], agreement[second], examples
        )
        for first, second in pairs
    }
