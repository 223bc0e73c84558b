import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import expit, xlogy
from scipy.stats import norm

from roi_ray.votes.asking.information import (
    expect_information,
    expect_precision,
    match_moments,
)

CASES = [(mean, variance) for mean in (0, 0.5, 2, -5, 10) for variance in (0.01, 1, 4, 50)]


def integrate(function, mean, variance):
    """Compute the mean of a function of a lead."""
    spread = np.sqrt(variance)
    ends = mean - 12 * spread, mean + 12 * spread
    points = [point for point in (-5, 0, 5, mean) if ends[0] < point < ends[1]]
    density = norm(mean, spread).pdf
    return quad(lambda lead: function(lead) * density(lead), *ends, points=points, limit=500)[0]


def entropy(p):
    return -xlogy(p, p) - xlogy(1 - p, 1 - p)


@pytest.mark.parametrize(("mean", "variance"), CASES)
def test_information_is_that_of_adaptive_integration(mean, variance):
    expected = entropy(integrate(expit, mean, variance)) - integrate(
        lambda lead: entropy(expit(lead)), mean, variance
    )
    assert expect_information(mean, variance) == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize(("mean", "variance"), CASES)
def test_precision_is_that_of_adaptive_integration(mean, variance):
    expected = integrate(lambda lead: expit(lead) * expit(-lead), mean, variance)
    assert expect_precision(mean, variance) == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize("p_a", [0, 0.5, 1])
@pytest.mark.parametrize(("mean", "variance"), [(0, 1), (0.5, 4), (-2, 0.3), (3, 8)])
def test_moments_after_a_vote_are_those_of_adaptive_integration(mean, variance, p_a):
    def moment(power, origin=0.0):
        return integrate(
            lambda lead: expit(lead) ** p_a * expit(-lead) ** (1 - p_a) * (lead - origin) ** power,
            mean,
            variance,
        )

    total = moment(0)
    after = moment(1) / total
    expected = after, moment(2, after) / total
    assert match_moments(mean, variance, p_a) == pytest.approx(expected, abs=1e-6)


def test_a_vote_tells_nothing_about_a_lead_that_is_known():
    assert expect_information([0.0, 3.0], [0.0, 0.0]).tolist() == [0, 0]


def test_a_vote_tells_more_about_leads_that_are_small_and_unsure():
    information = expect_information([0, 1, 3, 0, 0], [1, 1, 1, 2, 1e4])
    assert information[0] > information[1] > information[2]
    assert information[4] > information[3] > information[0]
    assert information.max() < np.log(2)
