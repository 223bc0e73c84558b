import numpy as np
import pytest
from scipy import stats

from roi_ray.preference.statistics.intervals import (
    MIN_REFERENCES,
    count_effective_answers,
    interval_of_share,
    p_value_of_half,
)


def count(right, answers):
    right, answers = np.array(right, float), np.array(answers, float)
    return count_effective_answers(right, answers, answers)


def draw(random, references, answers, share, correlation):
    """Draw the number of right answers per reference, beta-binomial."""
    shares = np.full(references, share)
    if correlation:
        sum_of_shapes = 1 / correlation - 1
        shares = random.beta(share * sum_of_shapes, (1 - share) * sum_of_shapes, references)
    return random.binomial(answers, shares).astype(float)


@pytest.mark.parametrize("answers", [1, 50])
def test_all_right_is_as_uncertain_as_one_answer_per_reference(answers) -> None:
    effective = count([answers] * 20, [answers] * 20)
    assert effective == pytest.approx(20)
    low, high = interval_of_share(1.0, effective, 20)
    exact = stats.binomtest(20, 20).proportion_ci()
    assert high == 1
    assert low == pytest.approx(exact.low, abs=0.02) and low <= exact.low
    assert interval_of_share(0.0, effective, 20) == pytest.approx((0, 1 - low))


def test_independent_answers_have_the_interval_of_clopper_and_pearson() -> None:
    random = np.random.default_rng(0)
    right = draw(random, 1000, 20, 0.7, 0)
    share = right.sum() / 20_000
    interval = interval_of_share(share, count(right, [20] * 1000), 1000)
    exact = stats.binomtest(int(right.sum()), 20_000).proportion_ci()
    assert interval == pytest.approx((exact.low, exact.high), abs=1e-3)


def test_answers_that_agree_within_references_count_once() -> None:
    right = [50.0] * 14 + [0.0] * 6
    assert count(right, [50] * 20) == pytest.approx(20, rel=0.1)
    assert count([35.0] * 20, [50] * 20) == 1000


@pytest.mark.parametrize("share", [0.5, 0.8, 0.95, 0.99])
@pytest.mark.parametrize(("answers", "correlation"), [(1, 0), (20, 0), (20, 0.3)])
@pytest.mark.parametrize("references", [6, 20])
def test_intervals_cover_the_truth(share, answers, correlation, references) -> None:
    random = np.random.default_rng(1)
    covering = 0
    for _ in range(200):
        right = draw(random, references, answers, share, correlation)
        effective = count(right, [answers] * references)
        low, high = interval_of_share(right.mean() / answers, effective, references)
        covering += low <= share <= high
    # 88 % and less are drawn from 95 % once in 70,000 times.
    assert covering / 200 > 0.88


@pytest.mark.parametrize("references", [2, 5, 6, 7, 8, 20])
def test_p_value_and_interval_agree(references) -> None:
    random = np.random.default_rng(references)
    verdicts = set()
    for _ in range(300):
        right = draw(random, references, 5, random.choice([0.5, 0.7, 0.9]), 0)
        share = right.mean() / 5
        effective = count(right, [5] * references)
        low, high = interval_of_share(share, effective, references)
        p = p_value_of_half(share, effective, references)
        if references < MIN_REFERENCES:
            assert np.isnan([low, high, p]).all()
            continue
        assert 0 <= p <= 1
        assert (p < 0.05) == (not low <= 0.5 <= high)
        verdicts.add(p < 0.05)
    assert len(verdicts) == (2 if references >= MIN_REFERENCES else 0)


def test_many_references_agree_with_students_t() -> None:
    random = np.random.default_rng(0)
    right = draw(random, 200, 10, 0.53, 0.1)
    share = right.mean() / 10
    effective = count(right, [10] * 200)
    test = stats.ttest_1samp(right / 10, 0.5)
    assert p_value_of_half(share, effective, 200) == pytest.approx(test.pvalue, rel=0.2)
    expected = test.confidence_interval(0.95)
    interval = interval_of_share(share, effective, 200)
    assert interval == pytest.approx((expected.low, expected.high), abs=0.005)


def test_fewest_references_are_those_of_a_significant_sign_test() -> None:
    assert stats.binomtest(MIN_REFERENCES, MIN_REFERENCES).pvalue < 0.05
    assert stats.binomtest(MIN_REFERENCES - 1, MIN_REFERENCES - 1).pvalue > 0.05
