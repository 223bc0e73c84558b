"""How much a ranking agrees with the one that endless votes would give."""

import numpy as np
from scipy.special import ndtr

from roi_ray.votes.asking.beliefs import Belief, Floats


def expect_tau(scores: Floats, belief: Belief) -> float:
    """Compute the Kendall's tau that a ranking is expected to have with the true one.

    It is the mean over pairs of 2 P - 1, where P is the probability that the ranking has the two in
    the right order.

    Args:
        scores: scores that rank n names, (n,), two or more.
        belief: what is known of the true scores.

    Returns:
        -1..1; 1 if all is known, 0 if nothing is.

    Examples:
        >>> known = Belief(np.array([1.0, 0.0]), np.zeros((2, 2)))
        >>> expect_tau(np.array([3.0, 2.0]), known), expect_tau(np.array([2.0, 3.0]), known)
        (1.0, -1.0)
    """
    first, second = np.triu_indices(len(scores), 1)
    order = np.sign(scores[first] - scores[second])
    mean = belief.mean[first] - belief.mean[second]
    covariance = belief.covariance
    variance = covariance[first, first] + covariance[second, second] - 2 * covariance[first, second]
    with np.errstate(divide="ignore", invalid="ignore"):
        surplus = mean / np.sqrt(np.maximum(variance, 0))
    surplus = np.where(np.isnan(surplus), 0, surplus)
    return float((order * (2 * ndtr(surplus) - 1)).mean())


def compute_tau(scores: Floats, truth: Floats) -> float:
    """Compute Kendall's tau of two rankings; a pair that one of them ties counts as half right.

    Args:
        scores: scores of n names, (n,).
        truth: other scores of them, (n,).

    Examples:
        >>> compute_tau(np.array([1.0, 2.0, 3.0]), np.array([1.0, 3.0, 2.0]))  # 2 of 3 right
        0.3333333333333333
    """
    first, second = np.triu_indices(len(scores), 1)
    ours, theirs = (np.sign(each[first] - each[second]) for each in (scores, truth))
    return float((ours * theirs).mean())
