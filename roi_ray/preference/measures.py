"""How well probabilities fit what people said. Uncertainty is over references, not over answers."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roi_ray.preference.bootstrap import p_value, percentiles
from roi_ray.preference.examples import Examples, Floats

_RESAMPLES = 2000
_DRAWN_AT_ONCE = 50
_BINS = 10
_TINY = 1e-6


@dataclass(frozen=True)
class Interval:
    """An estimate with its 95 % interval, by bootstrap over references; NaN if there is but one."""

    value: float
    low: float
    high: float


def agreement(predicted: Floats, p_a: Floats) -> Floats:
    """Chance that each prediction's choice is that of a person who is asked: (N,), 0..1.

    Of a hard answer, 1 where it is predicted and 0 where not; an undecided prediction counts half.

    Args:
        predicted: P(people prefer a), (N,); above 0.5 chooses a.
        p_a: share of people who prefer a, (N,).
    """
    lead = np.sign(predicted - 0.5)
    return 0.5 + lead * (p_a - 0.5)


def log_loss(predicted: Floats, p_a: Floats) -> Floats:
    """Cross-entropy of each prediction in nats; lower is better; log 2 = 0.693 is chance."""
    p = np.clip(predicted, _TINY, 1 - _TINY)
    loss: Floats = -(p_a * np.log(p) + (1 - p_a) * np.log(1 - p))
    return loss


@dataclass(frozen=True)
class Bin:
    """Predictions of about the same confidence: its mean, the share that came true, the votes."""

    predicted: float
    observed: float
    votes: float


def reliability(predicted: Floats, p_a: Floats, weight: Floats) -> list[Bin]:
    """Confidence against truth in ten equal bins of 0..1, each comparison in both orders.

    Args:
        predicted: P(people prefer a), (N,).
        p_a: share of people who do, (N,).
        weight: votes behind it, (N,).
    """
    both, truth = np.concatenate([predicted, 1 - predicted]), np.concatenate([p_a, 1 - p_a])
    place = np.minimum((both * _BINS).astype(int), _BINS - 1)
    votes, sums, came_true = (
        np.bincount(place, np.tile(weight, 2) * values, _BINS)
        for values in (np.ones_like(both), both, truth)
    )
    return [
        Bin(float(sums[at] / votes[at]), float(came_true[at] / votes[at]), float(votes[at]))
        for at in np.flatnonzero(votes)
    ]


def expected_calibration_error(bins: Sequence[Bin]) -> float:
    """Mean distance of confidence from truth over bins (Naeini et al., AAAI 2015); 0 is best."""
    total = sum(each.votes for each in bins)
    return sum(each.votes * abs(each.predicted - each.observed) for each in bins) / total


def mean_over_references(values: Floats, examples: Examples, seed: int = 0) -> Interval:
    """Mean over answers, with an interval over resampled references.

    Args:
        values: one a comparison, (N,).
        examples: their references and votes.
        seed: of the resampling.
    """
    return _interval(values, examples, *_resampled_means(values, examples, seed))


@dataclass(frozen=True)
class Paired:
    """Difference of two means on the same answers; `p` of its sign, two-sided, by bootstrap.

    `p` is NaN where there is but one reference.
    """

    difference: Interval
    p: float


def paired(first: Floats, second: Floats, examples: Examples, seed: int = 0) -> Paired:
    """Is `first` larger than `second`? Both (N,), on the same comparisons."""
    # Shares that are equal may have come by other sums.
    difference = (first - second).round(12)
    means, references = _resampled_means(difference, examples, seed)
    return Paired(_interval(difference, examples, means, references), p_value(means, references))


@dataclass(frozen=True)
class Ceiling:
    """What people who were asked the same question again say of how far it can be answered.

    Attributes:
        questions: that were asked more than once.
        agreement: chance that another answer to the same question is the same as an answer; a mean
            over answers, as accuracies are.
        implied: accuracy of someone who always knows the majority, were all questions equally
            hard: q with q^2 + (1 - q)^2 = agreement.
    """

    questions: int
    agreement: float
    implied: float


def human_ceiling(questions: NDArray[np.int64], p_a: Floats) -> Ceiling | None:
    """From repeated questions; None where there are none.

    Args:
        questions: a number for each question (reference and two images), (N,).
        p_a: answers, (N,), turned so that `a` is the same image in all answers to a question;
            each counts once, whatever its votes.
    """
    asked = np.bincount(questions)
    again = asked > 1
    if not again.any():
        return None
    # Of two answers p and q, the chance is p q + (1 - p) (1 - q), summed over all ordered pairs. A
    # question of n answers has n (n - 1) of these and counts n times: hard ones were asked more.
    same = np.zeros(len(asked))
    for side in (p_a, 1 - p_a):
        same += np.bincount(questions, side) ** 2 - np.bincount(questions, side**2)
    n = asked[again]
    share = float((same[again] / (n - 1)).sum() / n.sum())
    return Ceiling(int(again.sum()), share, (1 + max(2 * share - 1, 0) ** 0.5) / 2)


def _resampled_means(values: Floats, examples: Examples, seed: int) -> tuple[Floats, int]:
    """Means over resampled references, and how many references there are."""
    groups = examples.group.max() + 1
    sums = np.bincount(examples.group, weights=values * examples.weight, minlength=groups)
    counts = np.bincount(examples.group, weights=examples.weight, minlength=groups)
    there = np.flatnonzero(counts)
    generator = np.random.default_rng(seed)
    means = np.empty(_RESAMPLES)
    # A few at a time: there may be as many references as comparisons.
    for start in range(0, _RESAMPLES, _DRAWN_AT_ONCE):
        drawn = generator.choice(there, (_DRAWN_AT_ONCE, len(there)))
        means[start : start + _DRAWN_AT_ONCE] = sums[drawn].sum(1) / counts[drawn].sum(1)
    return means, len(there)


def _interval(values: Floats, examples: Examples, means: Floats, references: int) -> Interval:
    value = float(np.average(values, weights=examples.weight))
    return Interval(value, *percentiles(means, references))
