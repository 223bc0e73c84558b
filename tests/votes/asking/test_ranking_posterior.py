import numpy as np
import pytest

from roi_ray.votes.asking.beliefs import Belief
from roi_ray.votes.asking.ranking_posterior import PRIOR_PRECISION, fit_ranking

WINS = np.array([[0, 6, 9], [2, 0, 5], [1, 4, 0]])


def integrate_exactly(wins, precision):
    """Compute mean and covariance of three scores, on a grid."""
    axis = np.linspace(-8, 8, 97)
    scores = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)
    leads = scores[:, :, None] - scores[:, None, :]
    log_density = -precision / 2 * np.square(scores).sum(1) - (wins * np.logaddexp(0, -leads)).sum(
        (1, 2)
    )
    weights = np.exp(log_density - log_density.max())
    return np.average(scores, 0, weights), np.cov(scores.T, aweights=weights)


@pytest.mark.parametrize("wins", [WINS, np.array([[0, 5, 0], [0, 0, 2], [0, 1, 0]])])
def test_posterior_is_close_to_the_exact_one(wins):
    belief = fit_ranking(wins)
    mean, covariance = integrate_exactly(wins, PRIOR_PRECISION)
    assert (np.abs(belief.mean - mean) < 0.25 * np.sqrt(np.diag(covariance))).all()
    np.testing.assert_allclose(belief.covariance, covariance, atol=0.35)


def test_a_tie_counts_half_for_either():
    tied = WINS.astype(float)
    tied[[0, 1], [1, 0]] += 0.5
    votes = np.array([[1.0, -1, 0]])
    belief = fit_ranking(tied)
    mean = Belief(belief.mean, belief.covariance).leads(votes)[0]
    less, more = fit_ranking(WINS), WINS.copy()
    more[0, 1] += 1
    assert less.leads(votes)[0] > mean
    assert fit_ranking(more).leads(votes)[0] > mean


def test_steps_from_vote_to_vote_come_close_to_the_fit():
    belief = Belief(np.zeros(3), np.eye(3) / PRIOR_PRECISION)
    votes = [(i, j) for i in range(3) for j in range(3) for _ in range(WINS[i, j])]
    for i, j in np.random.default_rng(0).permutation(votes):
        belief = belief.after_vote(np.eye(3)[i] - np.eye(3)[j], 1.0)
    fitted = fit_ranking(WINS)
    np.testing.assert_allclose(belief.mean, fitted.mean, atol=0.2)
    np.testing.assert_allclose(belief.covariance, fitted.covariance, atol=0.15)


def test_names_that_always_win_and_names_without_votes_have_finite_scores():
    wins = np.zeros((4, 4))
    wins[0, 1] = 500
    belief = fit_ranking(wins)
    assert np.isfinite(belief.mean).all()
    assert belief.mean[0] > 1 > belief.mean[2]
    assert belief.covariance[2, 2] == pytest.approx(1 / PRIOR_PRECISION)
