"""Measures of how well predicted probabilities fit people's answers.

Uncertainty is over references, not over answers: answers about one image are alike.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from roi_ray.preference.comparisons.examples import Examples, Floats
from roi_ray.preference.statistics.intervals import (
    count_effective_answers,
    interval_of_share,
    p_value_of_half,
)
from roi_ray.preference.statistics.mean_intervals import interval_of_mean, p_value_of_no_mean

_BINS = 10
_MIN_PROBABILITY = 1e-6


@dataclass(frozen=True)
class Interval:
    """An estimate with its 95 % interval over references, see `intervals` and `mean_intervals`.

    Attributes:
        value: the estimate.
        low: lower end of the interval; NaN where there is no interval: there are fewer than
            `intervals.MIN_REFERENCES` references, or all values of a difference are 0.
        high: upper end of the interval; NaN where there is none.
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
        p: two-sided p-value of the hypothesis that it is 0; below 0.05 exactly where the interval
            leaves out 0; NaN for fewer than `intervals.MIN_REFERENCES` references.
    """

    difference: Interval
    p: float


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


def mean_over_references(values: Floats, examples: Examples) -> Interval:
    """Compute a share of answers, with an interval over references.

    Args:
        values: one value per comparison, (N,), 0..1.
        examples: references and votes of the comparisons.
    """
    counts, sums = _sum_by_reference(examples, np.ones_like(values), values)
    mean = float(sums.sum() / counts.sum())
    effective = count_effective_answers(sums, counts, counts) if len(counts) > 1 else np.nan
    return Interval(mean, *interval_of_share(mean, effective, len(counts)))


def mean_loss_over_references(losses: Floats, examples: Examples) -> Interval:
    """Compute a mean loss over answers, with an interval over references.

    Args:
        losses: one value per comparison, (N,), of any size.
        examples: references and votes of the comparisons.
    """
    counts, sums = _sum_by_reference(examples, np.ones_like(losses), losses)
    return Interval(float(sums.sum() / counts.sum()), *interval_of_mean(sums, counts))


def paired_loss_difference(first: Floats, second: Floats, examples: Examples) -> PairedDifference:
    """Compute the mean loss of `first` minus that of `second`, with its interval and p-value.

    Args:
        first: one loss per comparison, (N,), of any size.
        second: another loss per comparison, (N,).
        examples: references and votes of the comparisons.
    """
    difference = (first - second).round(12)  # for the last digits see `paired_difference`
    counts, sums = _sum_by_reference(examples, np.ones_like(difference), difference)
    value = float(sums.sum() / counts.sum())
    low, high = interval_of_mean(sums, counts) if difference.any() else (np.nan, np.nan)
    return PairedDifference(Interval(value, low, high), p_value_of_no_mean(sums, counts))


def paired_difference(first: Floats, second: Floats, examples: Examples) -> PairedDifference:
    """Compute the share of `first` minus that of `second`, with its interval and p-value.

    Args:
        first: one value per comparison, (N,), 0..1.
        second: another value per comparison, (N,), 0..1.
        examples: references and votes of the comparisons.
    """
    # Rounded, because sums of equal values in different orders differ in their last digits.
    difference = (first - second).round(12)
    counts, sums, differing = _sum_by_reference(
        examples, np.ones_like(difference), (1 + difference) / 2, np.abs(difference)
    )
    references = len(counts)
    share = float(sums.sum() / counts.sum())  # 0.5 where neither is ahead
    effective = count_effective_answers(sums, counts, differing) if references > 1 else np.nan
    low, high = interval_of_share(share, effective, references)
    value = float(np.average(difference, weights=examples.weight))
    return PairedDifference(
        Interval(value, 2 * low - 1, 2 * high - 1), p_value_of_half(share, effective, references)
    )


def _sum_by_reference(examples: Examples, *values: Floats) -> list[Floats]:
    """Sum values over each reference's answers, (R,), for references that have any."""
    sums = [np.bincount(examples.group, examples.weight * each).astype(float) for each in values]
    present = np.bincount(examples.group) > 0
    return [each[present] for each in sums]
