"""An honest evaluation: every model, rule and ceiling on the same held-out answers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from roi_ray import schema
from roi_ray.io import storage
from roi_ray.preference import measures
from roi_ray.preference.comparisons import Comparisons
from roi_ray.preference.examples import Examples, Floats, select_trainable, to_examples
from roi_ray.preference.measures import Interval
from roi_ray.preference.model import load_preference_model
from roi_ray.preference.recipes import RECIPES
from roi_ray.preference.seen import share_trained_on
from roi_ray.preference.validation import (
    logistic_learner,
    nested_learner,
    predict_by_metric,
    predict_out_of_fold,
    recipe_learner,
)

PAPER = {"BASIC": 0.7672, "ROI": 0.784}
"""The source's Table 1: accuracy on CLIC's data, which is not the data here."""

SETS = {"BASIC": schema.BASIC_FEATURES, "ROI": schema.FEATURES}
_BPP_EDGES = (0.25, 0.5, 1.0, 2.0)
REPEATED_QUESTIONS = "questions asked again"
"""The part of the comparisons that the ceiling of people is of."""
_CLOSENESS = ("closest third", "middle third", "farthest third")


@dataclass(frozen=True)
class Line:
    """One model or rule.

    Attributes:
        name: of it.
        accuracy: share of human answers that it predicts; of references it was not trained on.
        log_loss: in nats, lower is better; None for rules, which give no probability.
        calibration: expected calibration error; None for rules.
        parts: accuracy in parts of the comparisons, by name of the part.
    """

    name: str
    accuracy: Interval
    log_loss: float | None
    calibration: float | None
    parts: Mapping[str, float]


@dataclass(frozen=True)
class Evaluation:
    """All of it.

    Attributes:
        comparisons: answers that were evaluated on.
        references: that they are about.
        lines: models and rules, in the order of the table.
        paired: named differences of accuracy, tested on the same answers.
        ceiling: of people, or None where no question was asked twice.
        reliability: confidence against truth, by model.
        sizes: comparisons in each part.
    """

    comparisons: int
    references: int
    lines: Sequence[Line]
    paired: Mapping[str, measures.Paired]
    ceiling: measures.Ceiling | None
    reliability: Mapping[str, Sequence[measures.Bin]]
    sizes: Mapping[str, int]

    def to_json(self) -> dict[str, Any]:
        """Plain numbers and texts; the paper's accuracies beside ours."""
        return {**asdict(self), "paper": PAPER}


def evaluate(
    comparisons: Comparisons,
    recipes: Sequence[str] = tuple(RECIPES),
    *,
    models: Sequence[str] = (),
    nested: bool = False,
    folds: int = 5,
    repeats: int = 3,
    report: Callable[[str], None] = lambda line: None,
) -> Evaluation:
    """Cross-validate recipes by reference, beside single metrics and logistic regression.

    Args:
        comparisons: labelled, with all eight features of both sides.
        recipes: names of `recipes.RECIPES`, each with the basic features and with all eight.
        models: trained models that are evaluated as they are: only honest on references that
            they were not trained on; of one that was trained on some of these very answers, the
            name says on how many.
        nested: also choose the recipe anew in each fold, from its training part alone.
        folds: of each cross-validation.
        repeats: with other divisions into folds.
        report: receives the progress.

    Raises:
        ManifestError: the comparisons cannot be learned from; see `to_examples`.
        WeightsError: a model cannot be used.
    """
    examples = to_examples(comparisons.table, schema.FEATURES, comparisons.name)
    references = len(np.unique(examples.group))
    folds = min(folds, references)
    table = select_trainable(comparisons.table, schema.FEATURES)
    questions, answers = _questions(table)
    parts = _parts(table, examples)
    if (again := np.bincount(questions)[questions] > 1).any():
        parts[REPEATED_QUESTIONS] = again
    # Before what takes long: one that cannot be used is found at once.
    given: dict[str, Floats] = {}
    for source in models:
        model = load_preference_model(source)
        own = share_trained_on(examples.only(model.features), model.provenance)
        name = f"model {source}" + (f", trained on {100 * own:.0f} % of these" if own else "")
        given[name] = model.predict_table(table, comparisons.name)[None]
    predicted: dict[str, Floats] = {}
    for name in recipes:
        for label, features in SETS.items():
            report(f"{label}, recipe {name}: {folds} folds x {repeats}")
            learner = recipe_learner(RECIPES[name], features)
            predicted[f"{label} {name}"] = predict_out_of_fold(examples, learner, folds, repeats)
    if nested:
        choices = {name: RECIPES[name] for name in recipes}
        for label, features in SETS.items():
            learner = nested_learner(choices, features, partial(_say, report, f"{label} chosen"))
            predicted[f"{label} nested"] = predict_out_of_fold(examples, learner, folds, 1)
    for label, features in SETS.items():
        learner = logistic_learner(features)
        predicted[f"{label} logistic"] = predict_out_of_fold(examples, learner, folds, repeats)
    predicted |= given
    rules = {feature: predict_by_metric(examples, feature)[None] for feature in schema.FEATURES}
    lines = [_line(name, p, examples, parts, rule=False) for name, p in predicted.items()]
    lines += [_line(name, p, examples, parts, rule=True) for name, p in rules.items()]
    return Evaluation(
        comparisons=len(examples),
        references=references,
        lines=lines,
        paired=_paired(predicted, rules, examples, recipes),
        ceiling=measures.human_ceiling(questions, answers),
        reliability={name: _reliability(p, examples) for name, p in predicted.items()},
        sizes={name: int(mask.sum()) for name, mask in parts.items()},
    )


def _say(report: Callable[[str], None], what: str, name: str) -> None:
    report(f"{what}: {name}")


def _line(
    name: str,
    predicted: Floats,
    examples: Examples,
    parts: Mapping[str, NDArray[np.bool_]],
    *,
    rule: bool,
) -> Line:
    right = _right(predicted, examples)
    loss = np.mean([measures.log_loss(p, examples.p_a) for p in predicted], axis=0)
    return Line(
        name,
        measures.mean_over_references(right, examples),
        None if rule else float(np.average(loss, weights=examples.weight)),
        None if rule else measures.expected_calibration_error(_reliability(predicted, examples)),
        {
            part: float(np.average(right[mask], weights=examples.weight[mask]))
            for part, mask in parts.items()
        },
    )


def _reliability(predicted: Floats, examples: Examples) -> list[measures.Bin]:
    truth, weight = (
        np.tile(x, len(predicted)) for x in (examples.p_a, examples.weight / len(predicted))
    )
    return measures.reliability(predicted.ravel(), truth, weight)


def _right(predicted: Floats, examples: Examples) -> Floats:
    """Agreement of each comparison, mean over repeats, (N,)."""
    right: Floats = np.mean([measures.agreement(p, examples.p_a) for p in predicted], axis=0)
    return right


def _paired(
    predicted: Mapping[str, Floats],
    rules: Mapping[str, Floats],
    examples: Examples,
    recipes: Sequence[str],
) -> dict[str, measures.Paired]:
    right = {name: _right(p, examples) for name, p in {**predicted, **rules}.items()}
    best = max(rules, key=lambda rule: np.average(right[rule], weights=examples.weight))
    pairs = [(f"ROI {name}", f"BASIC {name}") for name in (*recipes, "logistic")]
    for name in recipes:
        pairs += [(f"ROI {name}", best), (f"ROI {name}", "ROI logistic")]
    return {
        f"{one} - {other}": measures.paired(right[one], right[other], examples)
        for one, other in pairs
    }


def _parts(table: pa.Table, examples: Examples) -> dict[str, NDArray[np.bool_]]:
    """By bit rate, by pair of codecs, and by closeness, as far as the columns are there."""
    parts: dict[str, NDArray[np.bool_]] = {}
    names = table.column_names
    if {schema.BPP_A, schema.BPP_B} <= set(names):
        rates = (table[schema.BPP_A].to_numpy() + table[schema.BPP_B].to_numpy()) / 2
        edges = (0.0, *_BPP_EDGES, np.inf)
        for low, high in pairwise(edges):
            parts[f"{low:g}..{high:g} bpp"] = (rates >= low) & (rates < high)
    if {schema.CODEC_A, schema.CODEC_B} <= set(names):
        pairs = np.array(
            [
                " / ".join(sorted((one or "?", other or "?")))
                for one, other in zip(
                    table[schema.CODEC_A].to_pylist(),
                    table[schema.CODEC_B].to_pylist(),
                    strict=True,
                )
            ]
        )
        for pair in np.unique(pairs).tolist():
            parts[pair] = pairs == pair
    ssim = examples.only(["ms_ssim"])
    distance = np.abs(ssim.a - ssim.b)[:, 0]
    third = np.searchsorted(np.quantile(distance, [1 / 3, 2 / 3]), distance)
    for at, name in enumerate(_CLOSENESS):
        parts[f"{name} by ms_ssim"] = third == at
    return {name: mask for name, mask in parts.items() if mask.any()}


def _questions(table: pa.Table) -> tuple[NDArray[np.int64], Floats]:
    """A number for each question, and the answers turned to one order of its images."""
    numbers: dict[tuple[object, ...], int] = {}
    crop = [name for name in schema.CROP if name in table.column_names]
    uris = (map(storage.normalize, table[name].to_pylist()) for name in schema.COMPARISON_URIS)
    others = (table[name].to_pylist() for name in (schema.P_A, *crop))
    asked, answers = [], []
    for reference, a, b, p_a, *place in zip(*uris, *others, strict=True):
        question = (reference, *sorted((a, b)), *place)
        asked.append(numbers.setdefault(question, len(numbers)))
        answers.append(p_a if a < b else 1 - p_a)
    return np.array(asked), np.array(answers)
