"""Evaluate preference models: models, metrics, methods' names and people on the same answers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from roi_ray.errors import UsageError
from roi_ray.preference.comparisons.examples import Examples, Floats, select_trainable, to_examples
from roi_ray.preference.comparisons.regions import lack_region
from roi_ray.preference.comparisons.table import Comparisons
from roi_ray.preference.evaluation import repeated
from roi_ray.preference.evaluation.breakdown import REPEATED_QUESTIONS, Mask, split_into_parts
from roi_ray.preference.evaluation.contenders import (
    Contender,
    Kind,
    check_early_stopping,
    choose_variants,
    predict_by_all,
)
from roi_ray.preference.evaluation.encoder_bias import (
    EncoderBias,
    Families,
    find_families,
    measure_bias,
)
from roi_ray.preference.evaluation.method_names import METHOD_COLUMNS, NamedAnswers, select_named
from roi_ray.preference.evaluation.paired import (
    AnswerScores,
    PairedResult,
    choose_pairs,
    compare_pairs,
)
from roi_ray.preference.evaluation.rank_agreement import (
    RankAgreement,
    compare_rankings,
    score_methods,
    why_not_ranked,
)
from roi_ray.preference.model.preference_model import load_preference_model
from roi_ray.preference.model.recipes import RECIPES
from roi_ray.preference.statistics import measures

PAPER_ACCURACY = {"BASIC": 0.7672, "ROI": 0.784}
"""Accuracies in Table 1 of the paper, on CLIC's data: not comparable with other data."""


@dataclass(frozen=True)
class ModelResult:
    """How well one contender predicts people, on references that it was not trained on.

    Attributes:
        name: name of the contender.
        kind: `recipe`, `model` (a trained one, as it is), `method name` or `metric` (alone).
        log_loss: mean cross-entropy in nats; lower is better; guessing gives 0.693.
        accuracy: share of people's answers that are predicted, 0..1; higher is better.
        calibration_error: expected calibration error, 0..1; lower is better.
        ranking: correlation of its ranking of methods with people's.
        bias: its bias towards each encoder family.
        majority_accuracy: share of repeated questions of which it names the majority, 0..1; None
            where no repeated question has one.
        accuracy_by_part: accuracy in parts of the comparisons, by name of the part.
    """

    name: str
    kind: Kind
    log_loss: measures.Interval
    accuracy: measures.Interval
    calibration_error: float
    ranking: RankAgreement
    bias: EncoderBias
    majority_accuracy: measures.Interval | None
    accuracy_by_part: Mapping[str, float]


@dataclass(frozen=True)
class RepeatedQuestions:
    """Questions that several people answered.

    Attributes:
        majorities: number of these with a majority; the majority accuracy is a share of them.
        ties: number of these of which half of the answers go either way; they are left out.
    """

    majorities: int
    ties: int


@dataclass(frozen=True)
class Evaluation:
    """The result of `evaluate`.

    Attributes:
        comparisons: number of comparisons that were evaluated on.
        references: number of their references.
        without_region: number of comparisons without a region of interest, in which the basic
            features take the place of the `roi_` features, also where a metric is judged alone.
        results: recipes, trained models, the methods' names and metrics alone, each kind in the
            order of the report: metrics by log-loss, the best first.
        differences: tests of one contender against another.
        ceiling: how often people agree with each other; None where no question was asked twice.
        repeated: questions with several answers; None where none has a majority.
        people: people's score of each method, in logits, mean 0; empty where methods cannot be
            ranked.
        reliability: predicted probabilities against answers, by name of the contender.
        part_sizes: number of comparisons in each part.
    """

    comparisons: int
    references: int
    without_region: int
    results: Sequence[ModelResult]
    differences: Sequence[PairedResult]
    ceiling: repeated.HumanCeiling | None
    repeated: RepeatedQuestions | None
    people: Mapping[str, float]
    reliability: Mapping[str, Sequence[measures.ReliabilityBin]]
    part_sizes: Mapping[str, int]

    def to_json(self) -> dict[str, Any]:
        """Convert to JSON values, and add the paper's accuracies."""
        return {**asdict(self), "paper": PAPER_ACCURACY}


@dataclass(frozen=True)
class _Judge:
    """All that contenders are judged by."""

    examples: Examples
    questions: repeated.Questions
    majorities: repeated.Majorities | None
    methods: NamedAnswers | None
    families: Families | str
    parts: Mapping[str, Mask]


def evaluate(
    comparisons: Comparisons,
    recipes: Sequence[str] = tuple(RECIPES),
    *,
    models: Sequence[str] = (),
    folds: int = 5,
    repeats: int = 3,
    processes: int = 1,
    report: Callable[[str], None] = lambda line: None,
) -> Evaluation:
    """Cross-validate recipes, single metrics and methods' names by reference, beside people.

    Args:
        comparisons: labelled comparisons with the features of the recipes and models.
        recipes: names in `RECIPES`; each is trained on its basic features and on all. One that
            stops early is also trained for all its epochs, under the name of `NAME, 50 epochs`.
        models: trained models to evaluate as they are. Their numbers are honest only on references
            that they were not trained on. If a model was trained on some of these answers, its
            name in the results says on what share.
        folds: number of folds of each cross-validation.
        repeats: number of cross-validations, with different folds.
        processes: number of processes that train networks, see `validation.open_pool`.
        report: function that receives lines about the progress.

    Raises:
        UsageError: a recipe is unknown, or there is neither a recipe nor a model.
        ManifestError: the comparisons cannot be trained on, see `to_examples`; or a recipe that
            stops early has too few references.
        WeightsError: a model cannot be loaded.
    """
    chosen = choose_variants(recipes)
    trained = {source: load_preference_model(source) for source in models}
    needed = [each.features for each in chosen.values()]
    needed += [each.features for each in trained.values()]
    if not needed:
        raise UsageError("nothing to evaluate: name a recipe or a model")
    features = tuple(dict.fromkeys(name for names in needed for name in names))
    examples = to_examples(comparisons.table, features, comparisons.name)
    references = len(np.unique(examples.group))
    folds = min(folds, references)
    check_early_stopping(chosen, references, folds)
    table = select_trainable(comparisons.table, features)
    questions = repeated.number_questions(table)
    parts = split_into_parts(table, examples)
    if questions.are_repeated().any():
        parts[REPEATED_QUESTIONS] = questions.are_repeated()
    judge = _Judge(
        examples,
        questions,
        repeated.find_majorities(questions, examples),
        select_named(table, METHOD_COLUMNS),
        find_families(table),
        parts,
    )
    contenders = predict_by_all(
        chosen,
        trained,
        judge.methods,
        table,
        examples,
        comparisons.name,
        folds,
        repeats,
        processes,
        report,
    )
    return _judge_all(contenders, judge, int(lack_region(table).sum()))


def _judge_all(contenders: Sequence[Contender], judge: _Judge, without_region: int) -> Evaluation:
    examples, majorities = judge.examples, judge.majorities
    scores = {each.name: _score_answers(each.predicted, examples) for each in contenders}
    results = [_judge_one(each, scores[each.name], judge) for each in contenders]
    metrics = sorted(
        (each for each in results if each.kind == "metric"), key=lambda each: each.log_loss.value
    )
    results = [each for each in results if each.kind != "metric"] + metrics
    pairs = choose_pairs(list(scores), metrics[0].name if metrics else None)
    ranked = judge.methods if why_not_ranked(judge.methods) is None else None
    return Evaluation(
        comparisons=len(examples),
        references=len(np.unique(examples.group)),
        without_region=without_region,
        results=results,
        differences=compare_pairs(pairs, scores, examples),
        ceiling=repeated.human_ceiling(judge.questions.number, judge.questions.turn(examples.p_a)),
        repeated=RepeatedQuestions(len(majorities.row), majorities.ties) if majorities else None,
        people=score_methods(ranked.people) if ranked else {},
        reliability={each.name: _reliability(each.predicted, examples) for each in contenders},
        part_sizes={name: int(mask.sum()) for name, mask in judge.parts.items()},
    )


def _judge_one(contender: Contender, scores: AnswerScores, judge: _Judge) -> ModelResult:
    predicted, examples = contender.predicted, judge.examples
    mean = predicted.mean(0)
    return ModelResult(
        contender.name,
        contender.kind,
        measures.mean_loss_over_references(scores.log_loss, examples),
        measures.mean_over_references(scores.agreement, examples),
        measures.expected_calibration_error(_reliability(predicted, examples)),
        compare_rankings(judge.methods, mean),
        measure_bias(judge.families, mean),
        None
        if judge.majorities is None
        else repeated.majority_accuracy(predicted, judge.majorities, judge.questions, examples),
        {
            part: float(np.average(scores.agreement[mask], weights=examples.weight[mask]))
            for part, mask in judge.parts.items()
        },
    )


def _score_answers(predicted: Floats, examples: Examples) -> AnswerScores:
    return AnswerScores(
        np.mean([measures.log_loss(p, examples.p_a) for p in predicted], axis=0),
        np.mean([measures.agreement(p, examples.p_a) for p in predicted], axis=0),
    )


def _reliability(predicted: Floats, examples: Examples) -> list[measures.ReliabilityBin]:
    truth, weight = (
        np.tile(x, len(predicted)) for x in (examples.p_a, examples.weight / len(predicted))
    )
    return measures.reliability(predicted.ravel(), truth, weight)
