import numpy as np
import pytest

from roi_ray.votes.asking.beliefs import Belief

PRIOR = Belief(np.array([0.3, -0.2, 0.0]), np.diag([1.0, 2.0, 3.0]) + 0.3)
X = np.array([1.0, -1.0, 0.5])


def test_leads_are_those_of_samples():
    samples = np.random.default_rng(0).multivariate_normal(PRIOR.mean, PRIOR.covariance, 200_000)
    mean, variance = PRIOR.leads(X[None])
    assert mean[0] == pytest.approx((samples @ X).mean(), abs=0.02)
    assert variance[0] == pytest.approx((samples @ X).var(), rel=0.02)


@pytest.mark.parametrize("p_a", [0.0, 0.5, 1.0])
def test_what_is_known_after_a_vote_is_that_of_weighted_samples(p_a):
    random = np.random.default_rng(1)
    samples = random.multivariate_normal(PRIOR.mean, PRIOR.covariance, 400_000)
    p = 1 / (1 + np.exp(-samples @ X))
    weights = p**p_a * (1 - p) ** (1 - p_a)
    belief = PRIOR.after_vote(X, p_a)
    np.testing.assert_allclose(belief.mean, np.average(samples, 0, weights), atol=0.02)
    np.testing.assert_allclose(belief.covariance, np.cov(samples.T, aweights=weights), atol=0.04)


def test_before_a_vote_the_variance_shrinks_as_it_will_on_average_and_the_mean_stays():
    p = 1 / (1 + np.exp(-PRIOR.leads(X[None])[0][0]))
    after = [PRIOR.after_vote(X, p_a).leads(X[None])[1][0] for p_a in (1.0, 0.0)]
    belief = PRIOR.before_votes(X[None], np.ones(1))
    assert belief.leads(X[None])[1][0] == pytest.approx(p * after[0] + (1 - p) * after[1], rel=0.1)
    assert (belief.mean == PRIOR.mean).all()


def test_several_votes_before_they_come_are_as_many_single_ones():
    x = np.array([X, [0.2, 0.1, -0.3]])
    belief = PRIOR
    for row in (0, 0, 1):
        belief = belief.before_votes(x[[row]], np.ones(1))
    together = PRIOR.before_votes(x, np.array([2.0, 1.0]))
    np.testing.assert_allclose(together.covariance, belief.covariance, atol=0.1)
    assert together.covariance.trace() < PRIOR.before_votes(x, np.ones(2)).covariance.trace()


def test_a_vote_about_a_known_lead_changes_nothing():
    known = Belief(np.zeros(3), np.zeros((3, 3)))
    assert known.after_vote(X, 1.0) is known
    assert (known.before_votes(X[None], np.ones(1)).covariance == 0).all()
