"""Whether a model ranks methods as people do: both rankings from the same comparisons.

Scores are Bradley-Terry scores (see `bradley_terry`), of people's answers and of the predicted
shares of the same comparisons. A calibrated model has people's scores, however unsure it is of
single answers.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import stats

from roi_ray.errors import ManifestError
from roi_ray.preference.comparisons.examples import Floats
from roi_ray.preference.evaluation.method_names import NamedAnswers
from roi_ray.preference.ranking.bradley_terry import Answers, fit_scores

FEWEST_METHODS = 3
"""The fewest methods whose ranks can be correlated: two ranks always agree or disagree fully."""


@dataclass(frozen=True)
class RankAgreement:
    """The correlation of a model's scores of methods with people's.

    Attributes:
        pearson: Pearson's correlation of the scores, -1..1; higher is better; None if unknown.
        kendall: Kendall's tau-b of the ranks, -1..1; higher is better; None if unknown.
        scores: the model's score of each method, in logits, mean 0; empty if unknown.
        reason: why they are unknown; None where they are known.
    """

    pearson: float | None
    kendall: float | None
    scores: Mapping[str, float]
    reason: str | None = None


def score_methods(answers: Answers) -> dict[str, float]:
    """Compute the Bradley-Terry score of each name, in logits, mean 0."""
    return dict(zip(answers.names, fit_scores(answers.count_wins()).tolist(), strict=True))


def why_not_ranked(methods: NamedAnswers | None) -> str | None:
    """Say why methods cannot be ranked; None if they can."""
    if methods is None:
        return "no comparison names two different methods (columns method_a and method_b)"
    if (count := len(methods.people.names)) < FEWEST_METHODS:
        return f"{count} methods, fewer than {FEWEST_METHODS}"
    if not methods.are_linked():
        return "no chain of comparisons links all methods"
    return None


def compare_rankings(methods: NamedAnswers | None, predicted: Floats) -> RankAgreement:
    """Correlate the model's scores of methods with people's.

    Args:
        methods: the comparisons of two different methods; None if there are none.
        predicted: predicted P(people prefer a) of all comparisons, (N,).
    """
    reason = why_not_ranked(methods)
    if reason is not None or methods is None:
        return RankAgreement(None, None, {}, reason)
    try:
        people, model = map(score_methods, (methods.people, methods.answered_by(predicted)))
    except ManifestError as error:
        return RankAgreement(None, None, {}, str(error))
    x, y = (np.array(list(scores.values())) for scores in (people, model))
    if np.ptp(x) < 1e-9 or np.ptp(y) < 1e-9:  # correlations of a constant are undefined
        whose = "people" if np.ptp(x) < 1e-9 else "the model"
        return RankAgreement(None, None, model, f"all methods are equally good to {whose}")
    return RankAgreement(
        float(stats.pearsonr(x, y).statistic), float(stats.kendalltau(x, y).statistic), model
    )
