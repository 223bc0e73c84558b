import numpy as np
import pytest
from scipy.stats import kendalltau

from roi_ray.preference.ranking.bradley_terry import fit_scores
from roi_ray.votes.asking.beliefs import Belief
from roi_ray.votes.asking.expected_tau import compute_tau, expect_tau
from roi_ray.votes.asking.ranking_posterior import PRIOR_PRECISION, fit_ranking


def test_tau_is_that_of_scipy():
    scores, truth = np.random.default_rng(0).normal(size=(2, 12))
    assert compute_tau(scores, truth) == pytest.approx(kendalltau(scores, truth).statistic)


def test_a_pair_that_is_tied_counts_as_half_right():
    assert compute_tau(np.zeros(3), np.arange(3)) == 0


def test_expected_tau_is_the_mean_over_samples_of_the_truth():
    random = np.random.default_rng(1)
    root = random.normal(size=(6, 6))
    belief = Belief(random.normal(size=6), root @ root.T / 3)
    scores = belief.mean + 0.1
    samples = random.multivariate_normal(belief.mean, belief.covariance, 4000)
    taus = [compute_tau(scores, sample) for sample in samples]
    assert expect_tau(scores, belief) == pytest.approx(np.mean(taus), abs=0.02)


def test_nothing_is_expected_without_votes():
    belief = Belief(np.zeros(5), np.eye(5))
    assert expect_tau(np.arange(5.0), belief) == 0


def test_expected_tau_is_the_real_one_on_average():
    random = np.random.default_rng(2)
    expected, real = [], []
    for _ in range(25):
        truth = random.normal(size=8) / np.sqrt(PRIOR_PRECISION)
        wins = np.zeros((8, 8))
        for _ in range(60):
            i, j = random.choice(8, 2, replace=False)
            is_won = random.random() < 1 / (1 + np.exp(truth[j] - truth[i]))
            wins[(i, j) if is_won else (j, i)] += 1
        scores = fit_scores(wins)
        expected.append(expect_tau(scores, fit_ranking(wins)))
        real.append(compute_tau(scores, truth))
    assert np.mean(expected) == pytest.approx(np.mean(real), abs=0.06)
