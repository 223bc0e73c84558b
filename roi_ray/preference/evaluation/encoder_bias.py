"""The bias of a model towards encoder families: predicted minus human score, in logits.

Both scores are Bradley-Terry scores of the same comparisons. The bias of a family is the mean over
its methods; the mean over all methods is 0, so that a family can be favoured only at the cost of
another.

Intervals are a jackknife over references: both rankings are fitted again without each reference in
turn, and the ends are those of Student's t with the degrees of freedom of `mean_intervals` for the
family's answers. The predictions stay as they are.

Coverage of the 95 % interval in simulations of three families with three methods each, an average
of 40 answers per reference (equal numbers, or numbers with a geometric distribution), methods whose
quality differs between references by a standard deviation of 0, 0.5 and 1 logit, and predictions
that favour one family by 0.3 logit (400 draws each; the least and the most):

| answers per reference | 6 references | 12 | 20 | 36 |
|---|---|---|---|---|
| equal | 0.94 .. 0.96 | 0.95 .. 0.97 | 0.95 .. 0.98 | 0.93 .. 0.97 |
| uneven | 0.99 .. 1.00 | 0.97 .. 0.99 | 0.97 .. 0.99 | 0.96 .. 0.98 |

For a family with answers about only 6 of 36 references, coverage is 0.96 .. 0.98; with the degrees
of freedom of all 36 references, it would be 0.91 .. 0.93.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy import special

from roi_ray.errors import ManifestError
from roi_ray.preference.comparisons.examples import Floats
from roi_ray.preference.evaluation.method_names import (
    CODEC_COLUMNS,
    METHOD_COLUMNS,
    NamedAnswers,
    select_named,
)
from roi_ray.preference.ranking.bradley_terry import PRIOR, Answers, fit_scores
from roi_ray.preference.ranking.score_intervals import fit_tables, wins_by_reference
from roi_ray.preference.statistics.intervals import CONFIDENCE, MIN_REFERENCES
from roi_ray.preference.statistics.mean_intervals import degrees_of_freedom

_CELLS_AT_ONCE = 2_000_000
_UNKNOWN_FAMILY = "?"


@dataclass(frozen=True)
class FamilyBias:
    """The bias of a model towards one encoder family, in logits.

    Attributes:
        value: mean over the family's methods of predicted minus human score; 0 is best; above 0,
            the model favours the family.
        low: lower end of the 95 % interval over references; NaN where the family's answers are
            about fewer than `intervals.MIN_REFERENCES` references.
        high: upper end of the interval.
        methods: number of methods of the family.
        significant: whether the interval leaves out 0; None where there is no interval.
    """

    value: float
    low: float
    high: float
    methods: int
    significant: bool | None


@dataclass(frozen=True)
class EncoderBias:
    """The biases of a model.

    Attributes:
        families: bias by encoder family; empty if unknown.
        reason: why they are unknown; None where they are known.
    """

    families: Mapping[str, FamilyBias]
    reason: str | None = None


@dataclass(frozen=True)
class Families:
    """The encoder families of comparisons, and people's scores of their methods.

    Attributes:
        answers: comparisons of two different methods; of two encoders where methods have no names.
        family: names of the families, in alphabetical order.
        share: weight of each method in the mean of each family, (F, n).
        people: people's scores, (n,).
        people_without: people's scores without each reference, (R, n).
        references: number of references that each family's answers are about, (F,).
        freedom: degrees of freedom of an interval of each family's bias, (F,).
    """

    answers: NamedAnswers
    family: list[str]
    share: Floats
    people: Floats
    people_without: Floats
    references: NDArray[np.intp]
    freedom: Floats


def find_families(table: pa.Table) -> Families | str:
    """Find encoder families and fit people's scores; or say why biases cannot be measured.

    Args:
        table: labelled comparisons.
    """
    if not set(CODEC_COLUMNS) <= set(table.column_names):
        return "no columns codec_a and codec_b"
    answers = select_named(table, METHOD_COLUMNS) or select_named(table, CODEC_COLUMNS)
    if answers is None:
        return "no comparison names two different methods or encoders"
    if not answers.are_linked():
        return "no chain of comparisons links all methods"
    try:
        return _group_into_families(table, answers)
    except ManifestError as error:
        return str(error)


def _group_into_families(table: pa.Table, answers: NamedAnswers) -> Families | str:
    codec_a, codec_b = (
        np.array([name or _UNKNOWN_FAMILY for name in table[column].to_pylist()])[answers.rows]
        for column in CODEC_COLUMNS
    )
    names = len(answers.people.names)
    family, numbers = np.unique(np.concatenate([codec_a, codec_b]), return_inverse=True)
    methods = np.concatenate([answers.people.a, answers.people.b])
    member = np.zeros((len(family), names), np.bool_)
    member[numbers, methods] = True
    if (several := member.sum(0) > 1).any():
        name = answers.people.names[several.argmax()]
        return f"method {name} has more than one encoder"
    if len(family) < 2:
        return f"all methods are of one encoder family, {family[0]}"
    counts = _count_answers_by_reference(answers.people, numbers, len(family))
    references = np.array([len(each) for each in counts])
    freedom = np.array([degrees_of_freedom(c) if len(c) > 1 else math.nan for c in counts])
    people = fit_scores(answers.people.count_wins())
    share = member / member.sum(1, keepdims=True)
    without = _scores_without_each_reference(answers.people, people)
    return Families(answers, family.tolist(), share, people, without, references, freedom)


def _count_answers_by_reference(
    answers: Answers, family: NDArray[np.intp], families: int
) -> list[Floats]:
    """Count each family's answers about every reference that it has any of.

    Args:
        answers: N answers.
        family: number of the family of each `a`, then of each `b`, (2 N,).
        families: number of families.
    """
    group, weight = np.tile(answers.group, 2), np.tile(answers.weight, 2)
    counts = []
    for number in range(families):
        rows = family == number
        votes = np.bincount(group[rows], weight[rows]).astype(np.float64)
        counts.append(votes[votes > 0])
    return counts


def measure_bias(families: Families | str, predicted: Floats) -> EncoderBias:
    """Measure how much a model favours each encoder family.

    Args:
        families: from `find_families`.
        predicted: predicted P(people prefer a) of all comparisons, (N,).
    """
    if isinstance(families, str):
        return EncoderBias({}, families)
    model = families.answers.answered_by(predicted)
    try:
        scores = fit_scores(model.count_wins())
    except ManifestError as error:
        return EncoderBias({}, str(error))
    bias = families.share @ (scores - families.people)
    spread = np.full(len(bias), math.nan)
    references = len(families.people_without)
    if references >= MIN_REFERENCES:
        without = _scores_without_each_reference(model, scores) - families.people_without
        squares = np.square(without @ families.share.T - bias)
        spread = np.sqrt((references - 1) / references * squares.sum(0))
        spread[families.references < MIN_REFERENCES] = math.nan
    tail = (1 - CONFIDENCE) / 2
    reach = -special.stdtrit(families.freedom, tail) * spread
    methods = np.count_nonzero(families.share, axis=1)
    rows = zip(families.family, bias.tolist(), reach.tolist(), methods.tolist(), strict=True)
    return EncoderBias(
        {
            name: FamilyBias(
                value,
                value - distance,
                value + distance,
                count,
                None if math.isnan(distance) else abs(value) > distance,
            )
            for name, value, distance, count in rows
        }
    )


def _scores_without_each_reference(answers: Answers, start: Floats) -> Floats:
    """Fit the scores of `fit_scores` to the answers about all references but one, (R, n)."""
    n = len(answers.names)
    wins, by_reference = answers.count_wins(), wins_by_reference(answers)
    scores = np.empty((by_reference.shape[0], n))
    at_once = max(1, _CELLS_AT_ONCE // (n + 1) ** 2)
    for first in range(0, len(scores), at_once):
        part = by_reference[first : first + at_once].toarray().reshape(-1, n, n)
        left = np.maximum(wins - part, 0)  # not below 0 by rounding
        padded = np.pad(left, ((0, 0), (0, 1), (0, 1)), constant_values=PRIOR)
        padded[:, -1, -1] = 0
        fitted = fit_tables(padded, np.append(start, 0.0))[:, :-1]
        scores[first : first + at_once] = fitted - fitted.mean(1, keepdims=True)
    return scores
