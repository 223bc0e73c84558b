import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import expit, xlogy
from scipy.stats import norm

from roi_ray.votes.asking.information import (
    COARSE,
    expect_information,
    expect_order_information,
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
def test_information_about_the_order_is_that_of_adaptive_integration(mean, variance):
    above = norm.cdf(mean / np.sqrt(variance))
    a_and_above = integrate(lambda lead: expit(lead) * (lead > 0), mean, variance)
    a_and_below = integrate(lambda lead: expit(lead) * (lead < 0), mean, variance)
    left = 0
    for part, a in ((above, a_and_above), (1 - above, a_and_below)):
        left += part * entropy(np.clip(a / part, 0, 1)) if part > 0 else 0
    expected = entropy(a_and_above + a_and_below) - left
    information = expect_order_information(mean, variance)
    assert information == pytest.approx(expected, abs=1e-6)
    assert information <= expect_information(mean, variance) + 1e-9


@pytest.mark.parametrize(("mean", "variance"), CASES)
def test_precision_is_that_of_adaptive_integration(mean, variance):
    expected = integrate(lambda lead: expit(lead) * expit(-lead), mean, variance)
    assert expect_precision(mean, variance) == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize("share", [0, 0.5, 1])
@pytest.mark.parametrize(("mean", "variance"), [(0, 1), (0.5, 4), (-2, 0.3), (3, 8)])
def test_moments_after_a_vote_are_those_of_adaptive_integration(mean, variance, share):
    def moment(power, origin=0.0):
        return integrate(
            lambda lead: (
                expit(lead) ** share * expit(-lead) ** (1 - share) * (lead - origin) ** power
            ),
            mean,
            variance,
        )

    total = moment(0)
    after = moment(1) / total
    expected = after, moment(2, after) / total
    assert match_moments(mean, variance, share) == pytest.approx(expected, abs=1e-6)


def test_a_vote_tells_nothing_about_a_lead_that_is_known():
    assert expect_information([0.0, 3.0], [0.0, 0.0]).tolist() == [0, 0]
    assert expect_order_information([0.0, 3.0], [0.0, 0.0]).tolist() == [0, 0]


def test_a_vote_tells_more_about_leads_that_are_small_and_unsure():
    information = expect_information([0, 1, 3, 0, 0], [1, 1, 1, 2, 1e4])
    assert information[0] > information[1] > information[2]
    assert information[4] > information[3] > information[0]
    assert information.max() < np.log(2)


@pytest.mark.parametrize("function", [expect_information, expect_order_information])
@pytest.mark.parametrize("scale", [0.01, 0.3, 3])
def test_the_coarse_rule_is_close_to_the_fine_one(function, scale):
    random = np.random.default_rng(0)
    mean, variance = random.normal(size=500), scale * random.gamma(2, size=500)
    fine = function(mean, variance)
    np.testing.assert_allclose(function(mean, variance, COARSE), fine, atol=0.02 * fine.max())
