import numpy as np
import pytest
from scipy import stats

from roi_ray.preference.bootstrap import p_value, percentiles


def resampled(values, random):
    return values[random.integers(0, len(values), (2000, len(values)))].mean(1)


@pytest.mark.parametrize(("references", "covered"), [(5, 0.9), (12, 0.92), (40, 0.92)])
def test_intervals_cover_the_truth_at_about_their_nominal_rate(references, covered) -> None:
    random = np.random.default_rng(0)
    covering = significant = 0
    for _ in range(400):
        samples = resampled(random.normal(size=references), random)
        low, high = percentiles(samples, references)
        covering += low <= 0 <= high
        significant += p_value(samples, references) < 0.05
    assert covered < covering / 400 < 0.98
    assert 0.01 < significant / 400 < 1 - covered


def test_many_references_agree_with_students_t() -> None:
    random = np.random.default_rng(0)
    values = random.normal(0.1, 1, 200)
    samples = resampled(values, random)
    test = stats.ttest_1samp(values, 0)
    assert p_value(samples, 200) == pytest.approx(test.pvalue, abs=0.02)
    expected = test.confidence_interval(0.95)
    assert percentiles(samples, 200) == pytest.approx((expected.low, expected.high), abs=0.02)


def test_two_or_three_references_are_never_significant() -> None:
    always = np.ones(2000)
    assert p_value(always, 2) > 0.2
    assert p_value(always, 3) > 0.1
    assert p_value(np.zeros(2000), 29) == 1


def test_one_reference_gives_nan() -> None:
    assert np.isnan([*percentiles(np.ones(2000), 1), p_value(np.ones(2000), 1)]).all()
