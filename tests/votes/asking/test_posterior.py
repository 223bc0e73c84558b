import numpy as np
from scipy.optimize import minimize

from roi_ray.votes.asking.beliefs import Belief
from roi_ray.votes.asking.posterior import fit_posterior


def votes(count, seed=0):
    random = np.random.default_rng(seed)
    x = random.normal(size=(count, 2)) @ [[1.0, 0.6], [0.0, 0.8]]
    return x, (random.random(count) < 1 / (1 + np.exp(-x @ [1.0, 0.5]))).astype(float)


def test_mode_and_precision_are_those_of_a_general_minimiser():
    x, p_a = votes(60)
    prior = Belief(np.array([0.5, 0.0]), np.diag([0.2, 0.4]))

    def loss(weights):
        leads, change = x @ weights, weights - prior.mean
        ridge = np.square(change) / np.diag(prior.covariance) / 2
        return (np.logaddexp(0, leads) - p_a * leads).sum() + ridge.sum()

    expected = minimize(loss, np.zeros(2), method="BFGS", options={"gtol": 1e-8})
    belief = fit_posterior(prior, x, p_a, np.ones(len(x)))
    np.testing.assert_allclose(belief.mean, expected.x, atol=1e-5)
    p = 1 / (1 + np.exp(-x @ belief.mean))
    precision = np.linalg.inv(prior.covariance) + sum(
        each * (1 - each) * np.outer(row, row) for each, row in zip(p, x, strict=True)
    )
    np.testing.assert_allclose(belief.covariance, np.linalg.inv(precision), rtol=1e-8)


def test_posterior_is_close_to_the_exact_one():
    x, p_a = votes(80)
    prior = Belief(np.zeros(2), np.eye(2))
    axis = np.linspace(-3, 4, 301)
    weights = np.stack(np.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, 2)
    leads = weights @ x.T
    log_density = (p_a * leads - np.logaddexp(0, leads)).sum(1) - np.square(weights).sum(1) / 2
    density = np.exp(log_density - log_density.max())
    belief = fit_posterior(prior, x, p_a, np.ones(len(x)))
    np.testing.assert_allclose(belief.mean, np.average(weights, 0, density), atol=0.05)
    np.testing.assert_allclose(belief.covariance, np.cov(weights.T, aweights=density), atol=0.02)


def test_without_votes_the_prior_is_what_is_known():
    prior = Belief(np.array([0.5, 0.0]), np.diag([0.2, 0.4]))
    belief = fit_posterior(prior, np.zeros((0, 2)), np.zeros(0), np.zeros(0))
    np.testing.assert_allclose(belief.covariance, prior.covariance)
    np.testing.assert_allclose(belief.mean, prior.mean)


def test_votes_about_one_lead_are_those_of_as_many_leads():
    x, p_a = votes(30)
    prior = Belief(np.zeros(2), np.eye(2))
    single = fit_posterior(prior, np.repeat(x, 4, 0), np.repeat(p_a, 4), np.ones(120))
    counted = fit_posterior(prior, x, 4 * p_a, np.full(30, 4.0))
    np.testing.assert_allclose(counted.mean, single.mean)
    np.testing.assert_allclose(counted.covariance, single.covariance)


def test_a_million_votes_are_fitted():
    x = np.array([[1.0, 0.0], [1.0, -1.0]])
    belief = fit_posterior(
        Belief(np.zeros(2), np.eye(2)), x, np.array([1e6, 1e3]), np.array([1e6, 1e6])
    )
    assert belief.mean[0] > 5
    np.testing.assert_allclose(belief.mean[0] - belief.mean[1], np.log(1e3 / 999e3), rtol=0.01)
