import numpy as np
import pytest
from scipy import stats

from roi_ray.preference.statistics.intervals import MIN_REFERENCES
from roi_ray.preference.statistics.mean_intervals import interval_of_mean, p_value_of_no_mean


def test_equal_numbers_of_answers_give_students_t_of_the_means(rng) -> None:
    means, count = rng.gamma(2.0, 0.3, 9), 7
    sums, counts = means * count, np.full(9, float(count))
    test = stats.ttest_1samp(means, 0)
    expected = test.confidence_interval(0.95)
    assert interval_of_mean(sums, counts) == pytest.approx((expected.low, expected.high))
    assert p_value_of_no_mean(sums, counts) == pytest.approx(test.pvalue)


def test_one_large_reference_widens_the_interval(rng) -> None:
    means = rng.normal(0.5, 0.1, 12)
    equal = np.full(12, 20.0)
    uneven = np.array([500.0] + [20.0] * 11)
    width = [np.diff(interval_of_mean(means * counts, counts))[0] for counts in (equal, uneven)]
    assert width[1] > 1.5 * width[0]


@pytest.mark.parametrize("references", [1, 2, 5])
def test_few_references_give_neither_interval_nor_p_value(references) -> None:
    sums = np.arange(1.0, references + 1)
    assert references < MIN_REFERENCES
    unknown = [*interval_of_mean(sums, np.ones(references))]
    unknown.append(p_value_of_no_mean(sums, np.ones(references)))
    assert np.isnan(unknown).all()


def test_values_of_zero_are_not_significant() -> None:
    assert p_value_of_no_mean(np.zeros(8), np.ones(8)) == 1


def test_p_value_is_below_5_percent_where_the_interval_leaves_out_0(rng) -> None:
    verdicts = []
    for _ in range(200):
        counts = rng.geometric(0.1, 8).astype(float)
        sums = counts * rng.normal(0.2, 0.3, 8)
        low, high = interval_of_mean(sums, counts)
        significant = not low <= 0 <= high
        assert (p_value_of_no_mean(sums, counts) < 0.05) == significant
        verdicts.append(significant)
    assert 0.05 < np.mean(verdicts) < 0.9


@pytest.mark.parametrize("references", [6, 20])
@pytest.mark.parametrize("uneven", [False, True])
def test_intervals_of_a_skewed_loss_cover_the_truth(references, uneven) -> None:
    random = np.random.default_rng(1)
    covering = 0
    for _ in range(400):
        counts = random.geometric(1 / 15, references) if uneven else np.full(references, 15)
        difficulty = random.normal(0, 0.5, references)
        sums = [
            random.gamma(1.0, 0.5, count).sum() * np.exp(effect - 0.125)
            for count, effect in zip(counts, difficulty, strict=True)
        ]
        low, high = interval_of_mean(np.array(sums), counts.astype(float))
        covering += low <= 0.5 <= high
    # 89 % and less are drawn from 95 % once in a million times.
    assert covering / 400 > 0.89
