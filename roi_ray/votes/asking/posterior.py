"""The posterior of unknown numbers, scores or weights, after votes.

The posterior is approximated by a normal distribution around its mode (Laplace; MacKay, "The
evidence framework applied to classification networks", 1992). Its precision is that of the prior
plus the sum over votes of p (1 - p) x x'. Votes about the same lead are counted first, so that the
time depends on the number of different leads, not of votes.
"""

import numpy as np
from scipy.special import expit

from roi_ray.votes.asking.beliefs import Belief, Floats

_MOST_STEPS, _CONVERGED = 100, 1e-8


def fit_posterior(prior: Belief, x: Floats, wins: Floats, votes: Floats) -> Belief | None:
    """Compute what is known with votes.

    Args:
        prior: what is known of n numbers without the votes.
        x: what the leads that votes are about are made of, (L, n), see `beliefs`.
        wins: number of votes for `a` about each lead, (L,); a tie is half a vote for either.
        votes: number of votes about each lead, (L,).

    Returns:
        mode and covariance of the numbers; None if Newton's method did not converge.

    Examples:
        >>> prior = Belief(np.zeros(1), np.eye(1))
        >>> belief = fit_posterior(prior, np.ones((1, 1)), np.array([3.0]), np.array([4.0]))
        >>> belief.mean.round(3), belief.covariance.round(3)
        (array([0.505]), array([[0.516]]))
    """
    known = np.linalg.inv(prior.covariance)

    def loss(numbers: Floats) -> float:
        leads, change = x @ numbers, numbers - prior.mean
        # The cross-entropy of a lead and a vote is log(1 + exp(lead)) - p_a * lead.
        entropy = votes @ np.logaddexp(0, leads) - wins @ leads
        return float(entropy + change @ known @ change / 2)

    numbers, value = prior.mean, loss(prior.mean)
    for _ in range(_MOST_STEPS):
        p = expit(x @ numbers)
        precision = known + x.T @ (x * (votes * p * (1 - p))[:, None])
        gradient = x.T @ (votes * p - wins) + known @ (numbers - prior.mean)
        step = -np.linalg.solve(precision, gradient)
        if np.abs(step).max() < _CONVERGED:
            return Belief(numbers, np.linalg.inv(precision))
        length = 1.0
        # Large sums differ by rounding: that is no rise.
        most = value + 1e-9 + 1e-12 * value
        while (after := loss(numbers + length * step)) > most and length > 1e-6:
            length /= 2
        numbers, value = numbers + length * step, after
    return None
