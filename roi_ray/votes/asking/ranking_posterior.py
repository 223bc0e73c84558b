"""What votes tell about the scores of names: the posterior of a Bradley-Terry model.

The share of people who prefer X to Y is sigmoid(s_X - s_Y). Scores have a normal prior, and their
posterior is approximated by a normal distribution, by expectation propagation (`choix`; Chu and
Ghahramani, "Extensions of Gaussian processes for ranking", 2005).
"""

from itertools import chain, repeat

import choix
import numpy as np

from roi_ray.votes.asking.beliefs import Belief, Floats

PRIOR_PRECISION = 0.25
"""Of each score: its standard deviation is 2 logits before any vote, that of a lead 2.8."""
_MOST_ROUNDS = 200


def fit_ranking(wins: Floats, precision: float = PRIOR_PRECISION) -> Belief | None:
    """Compute the posterior of the scores of n names.

    Two ties count as a win for either. An odd tie, and other parts of a win, are left out.

    Args:
        wins: number of votes that prefer the row's name to the column's, (n, n).
        precision: 1 / variance of the scores before any vote.

    Returns:
        posterior of the scores in logits, or None if expectation propagation did not converge.

    Examples:
        >>> belief = fit_ranking(np.array([[0, 8], [2, 0]]))
        >>> bool(belief.mean[0] > belief.mean[1])
        True
    """
    n = len(wins)
    whole = np.floor(np.asarray(wins) + 1e-9).astype(int)
    votes = list(
        chain.from_iterable(
            repeat((int(i), int(j)), int(whole[i, j])) for i, j in np.argwhere(whole)
        )
    )
    # The order of its updates is drawn from numpy's global generator.
    state = np.random.get_state()
    np.random.seed(0)
    try:
        mean, covariance = choix.ep_pairwise(n, votes, precision, "logit", _MOST_ROUNDS)
    except (RuntimeError, ValueError, ArithmeticError):
        return None
    finally:
        np.random.set_state(state)
    if not (np.isfinite(mean).all() and np.isfinite(covariance).all()):
        return None
    return Belief(mean, covariance)
