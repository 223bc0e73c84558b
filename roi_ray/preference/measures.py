"""Measures of how well predicted probabilities fit people's answers.

Uncertainty is over references, not over answers: answers about one image are alike.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roi_ray.preference.bootstrap import p_value, percentiles
from roi_ray.preference.examples import Examples, Floats

_RESAMPLES = 2000
_RESAMPLES_AT_ONCE = 50
_BINS = 10
_MIN_PROBABILITY = 1e-6


@dataclass(frozen=True)
class Interval:
    """An estimate with its 95 % interval, by bootstrap over references.

    Attributes:
        value: the estimate.
        low: lower end of the interval; NaN where there is a single reference.
        high: upper end of the interval; NaN where there is a single reference.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class ReliabilityBin:
    """Bin of predictions with similar probabilities.

    Attributes:
        predicted: mean predicted probability, 0..1.
        observed: share of people's answers that agree, 0..1.
        votes: number of answers, each counted in both orders.
    """

    predicted: float
    observed: float
    votes: float


@dataclass(frozen=True)
class PairedDifference:
    """The difference of two means over the same answers.

    Attributes:
        difference: the difference with its interval.
        p: two-sided p-value of the difference, by bootstrap; NaN for a single reference.
    """

    difference: Interval
    p: float


@dataclass(frozen=True)
class HumanCeiling:
    """Rate at which people agree with each other, from questions that were asked more than once.

    Attributes:
        questions: number of these questions.
        agreement: probability that two answers to the same question are the same, 0..1; a mean over
            answers, as accuracies are.
        implied_accuracy: accuracy of someone who always knows the majority, if all questions were
            equally hard: q with q^2 + (1 - q)^2 = agreement.
    """

    questions: int
    agreement: float
    implied_accuracy: float


def agreement(predicted: Floats, p_a: Floats) -> Floats:
    """Compute the probability that a person makes the choice that is predicted.

    For an answer of one person, this is 1 where the prediction is right and 0 where it is wrong;
    an undecided prediction counts half.

    Args:
        predicted: predicted P(people prefer a), (N,); above 0.5 chooses a.
        p_a: share of people who prefer a, (N,).

    Returns:
        agreement of each prediction, (N,), 0..1; higher is better.
    """
    choice = np.sign(predicted - 0.5)
    return 0.5 + choice * (p_a - 0.5)


def log_loss(predicted: Floats, p_a: Floats) -> Floats:
    """Compute the cross-entropy of each prediction.

    Args:
        predicted: predicted P(people prefer a), (N,).
        p_a: share of people who prefer a, (N,).

    Returns:
        losses in nats, (N,); lower is better; guessing 0.5 gives log 2 = 0.693.
    """
    p = np.clip(predicted, _MIN_PROBABILITY, 1 - _MIN_PROBABILITY)
    loss: Floats = -(p_a * np.log(p) + (1 - p_a) * np.log(1 - p))
    return loss


def reliability(predicted: Floats, p_a: Floats, weight: Floats) -> list[ReliabilityBin]:
    """Compare predicted probabilities with answers, in ten equal bins of 0..1.

    Args:
        predicted: predicted P(people prefer a), (N,).
        p_a: share of people who prefer a, (N,).
        weight: votes behind `p_a`, (N,).

    Returns:
        bins that are not empty, in rising order; each comparison counts in both orders.
    """
    both, truth = np.concatenate([predicted, 1 - predicted]), np.concatenate([p_a, 1 - p_a])
    number = np.minimum((both * _BINS).astype(int), _BINS - 1)
    votes, predicted_sum, observed_sum = (
        np.bincount(number, np.tile(weight, 2) * values, _BINS)
        for values in (np.ones_like(both), both, truth)
    )
    return [
        ReliabilityBin(
            float(predicted_sum[i] / votes[i]), float(observed_sum[i] / votes[i]), float(votes[i])
        )
        for i in np.flatnonzero(votes)
    ]


def expected_calibration_error(bins: Sequence[ReliabilityBin]) -> float:
    """Compute the mean distance between prediction and observation over bins; 0 is best.

    Naeini et al., "Obtaining Well Calibrated Probabilities Using Bayesian Binning", AAAI 2015.
    """
    total = sum(each.votes for each in bins)
    return sum(each.votes * abs(each.predicted - each.observed) for each in bins) / total


def mean_over_references(values: Floats, examples: Examples, seed: int = 0) -> Interval:
    """Compute the mean over answers, with an interval over resampled references.

    Args:
        values: one value per comparison, (N,).
        examples: references and votes of the comparisons.
        seed: seed of the resampling.
    """
    return _interval(values, examples, *_resampled_means(values, examples, seed))


def paired_difference(
    first: Floats, second: Floats, examples: Examples, seed: int = 0
) -> PairedDifference:
    """Compute the mean of `first` minus `second`, with its interval and p-value.

    Args:
        first: one value per comparison, (N,).
        second: another value per comparison, (N,).
        examples: references and votes of the comparisons.
        seed: seed of the resampling.
    """
    # Rounded, because sums of equal values in different orders differ in their last digits.
    difference = (first - second).round(12)
    means, references = _resampled_means(difference, examples, seed)
    interval = _interval(difference, examples, means, references)
    return PairedDifference(interval, p_value(means, references))


def human_ceiling(questions: NDArray[np.int64], p_a: Floats) -> HumanCeiling | None:
    """Compute how often people agree with each other, from repeated questions.

    Args:
        questions: number of each comparison's question (reference and two images), (N,).
        p_a: answers, (N,), such that `a` is the same image in all answers to a question; each
            answer counts once, whatever its votes.

    Returns:
        the ceiling; None where no question was asked more than once.
    """
    asked = np.bincount(questions)
    repeated = asked > 1
    if not repeated.any():
        return None
    # Two answers p and q agree with the chance p q + (1 - p) (1 - q), summed here over all ordered
    # pairs. A question with n answers has n (n - 1) pairs and counts n times, so that questions
    # that were asked more often, the hard ones, count more.
    agreeing = np.zeros(len(asked))
    for side in (p_a, 1 - p_a):
        agreeing += np.bincount(questions, side) ** 2 - np.bincount(questions, side**2)
    n = asked[repeated]
    share = float((agreeing[repeated] / (n - 1)).sum() / n.sum())
    return HumanCeiling(int(repeated.sum()), share, (1 + max(2 * share - 1, 0) ** 0.5) / 2)


def _resampled_means(values: Floats, examples: Examples, seed: int) -> tuple[Floats, int]:
    """Compute means over resampled references, and the number of references."""
    groups = examples.group.max() + 1
    sums = np.bincount(examples.group, weights=values * examples.weight, minlength=groups)
    counts = np.bincount(examples.group, weights=examples.weight, minlength=groups)
    present = np.flatnonzero(counts)
    generator = np.random.default_rng(seed)
    means = np.empty(_RESAMPLES)
    # In slices, to save memory: there may be as many references as comparisons.
    for start in range(0, _RESAMPLES, _RESAMPLES_AT_ONCE):
        drawn = generator.choice(present, (_RESAMPLES_AT_ONCE, len(present)))
        means[start : start + _RESAMPLES_AT_ONCE] = sums[drawn].sum(1) / counts[drawn].sum(1)
    return means, len(present)


def _interval(values: Floats, examples: Examples, means: Floats, references: int) -> Interval:
    value = float(np.average(values, weights=examples.weight))
    return Interval(value, *percentiles(means, references))
