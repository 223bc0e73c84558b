import numpy as np
import pytest

from roi_ray.preference.comparisons.examples import Examples
from roi_ray.preference.statistics import measures


def examples(group, p_a=None, weight=None):
    group = np.array(group)
    p_a = np.zeros(len(group)) if p_a is None else np.array(p_a)
    weight = np.ones(len(group)) if weight is None else np.array(weight)
    none = np.zeros((len(group), 0))
    return Examples((), none, none, p_a, weight, group)


def test_agreement_and_log_loss_match_known_values():
    predicted, said = np.array([0.9, 0.2, 0.5, 0.6]), np.array([1.0, 1.0, 0.0, 0.25])
    assert measures.agreement(predicted, said).tolist() == [1, 0, 0.5, 0.25]
    losses = measures.log_loss(predicted, said)
    assert losses[0] == pytest.approx(-np.log(0.9))
    assert losses[3] == pytest.approx(-0.25 * np.log(0.6) - 0.75 * np.log(0.4))
    assert np.isfinite(measures.log_loss(np.array([0.0, 1.0]), np.array([1.0, 0.0]))).all()


def test_calibration_error_is_small_for_truth_and_large_for_overconfidence():
    random = np.random.default_rng(0)
    truth = random.random(50_000)
    said = (random.random(50_000) < truth).astype(float)
    bins = measures.reliability(truth, said, np.ones(50_000))
    assert measures.expected_calibration_error(bins) < 0.01
    assert [each.predicted for each in bins] == pytest.approx(np.arange(0.05, 1, 0.1), abs=0.01)
    assert sum(each.votes for each in bins) == 100_000
    boast = measures.reliability(np.where(truth > 0.5, 0.99, 0.01), said, np.ones(50_000))
    assert measures.expected_calibration_error(boast) == pytest.approx(0.24, abs=0.01)


def test_reliability_counts_votes():
    # One comparison with three votes equals three comparisons.
    together = measures.reliability(
        np.array([0.75, 0.75]), np.array([1.0, 0.0]), np.array([3, 1.0])
    )
    apart = measures.reliability(np.full(4, 0.75), np.array([1.0, 1, 1, 0]), np.ones(4))
    assert together == apart
    assert measures.expected_calibration_error(together) == pytest.approx(0)


def test_interval_depends_on_references_not_on_answers():
    random = np.random.default_rng(0)
    means = random.uniform(size=30)
    few, many = (
        measures.mean_over_references(
            np.repeat(means, count), examples(np.repeat(np.arange(30), count))
        )
        for count in (20, 2000)
    )
    # More answers about the same images say nothing more about other images.
    assert (few.low, few.high) == pytest.approx((many.low, many.high), abs=0.005)
    error = means.std() / 30**0.5
    assert many.high - many.low == pytest.approx(2 * 2.05 * error, rel=0.15)
    assert many.value == pytest.approx(means.mean())
    assert many.low < many.value < many.high


def test_mean_is_weighted_by_votes():
    value = measures.mean_over_references(np.array([1.0, 0.0]), examples([0, 1], weight=[3.0, 1.0]))
    assert value.value == 0.75


def test_paired_difference_is_significant_only_for_a_better_predictor():
    random = np.random.default_rng(0)
    group = np.repeat(np.arange(40), 10)
    right = (random.random(400) < 0.7).astype(float)
    better = measures.paired_difference(
        np.where(np.arange(400) % 4 == 0, 1, right), right, examples(group)
    )
    assert better.difference.value == pytest.approx(0.25 * (1 - right[::4].mean()))
    assert better.p < 0.01 and better.difference.low > 0
    same = measures.paired_difference(right, random.permutation(right), examples(group))
    assert same.p > 0.05 and same.difference.low < 0 < same.difference.high


def test_equal_predictors_have_no_interval_of_their_difference():
    # Equal values whose sums differ in the last digit.
    thrice = measures.paired_difference(
        np.full(9, (0.8 + 0.8 + 0.8) / 3), np.full(9, 0.8), examples(range(9))
    )
    assert (thrice.difference.value, thrice.p) == (0, 1)
    assert np.isnan([thrice.difference.low, thrice.difference.high]).all()


def test_always_better_is_the_sign_test_and_not_a_certain_difference():
    test = measures.paired_difference(np.ones(20), np.zeros(20), examples(range(20)))
    assert test.difference.value == test.difference.high == 1
    assert 0.6 < test.difference.low < 0.7
    assert 2e-6 < test.p < 0.001


@pytest.mark.parametrize("references", [2, 3, 5])
def test_few_references_give_neither_interval_nor_p_value(references):
    group = np.arange(30) % references
    first = (np.arange(30) % 10 != 0).astype(float)
    test = measures.paired_difference(first, 1 - first, examples(group))
    accuracy = measures.mean_over_references(first, examples(group))
    unknown = [test.difference.low, test.difference.high, test.p, accuracy.low, accuracy.high]
    assert np.isnan(unknown).all()
    assert accuracy.value == 0.9


def test_p_value_is_below_5_percent_where_the_interval_leaves_out_0():
    random = np.random.default_rng(0)
    verdicts = []
    for _ in range(300):
        references = random.integers(6, 12)
        group = np.repeat(np.arange(references), 5)
        first = (random.random(len(group)) < 0.75).astype(float)
        second = (random.random(len(group)) < 0.5).astype(float)
        test = measures.paired_difference(first, second, examples(group))
        significant = not test.difference.low <= 0 <= test.difference.high
        assert (test.p < 0.05) == significant
        verdicts.append(significant)
    assert 0.1 < np.mean(verdicts) < 0.9


@pytest.mark.parametrize("references", [6, 20])
@pytest.mark.parametrize("lead", [0.0, 0.1])
def test_intervals_of_differences_cover_the_truth(references, lead):
    random = np.random.default_rng(3)
    group = np.repeat(np.arange(references), 10)
    covering = 0
    for _ in range(200):
        differ = random.random(len(group)) < 0.2
        wins = random.random(len(group)) < 0.5 + lead / 0.4
        second = np.where(differ, ~wins, 1.0)
        first = np.where(differ, wins, 1.0)
        test = measures.paired_difference(first, second, examples(group))
        covering += test.difference.low <= lead <= test.difference.high
    assert covering / 200 > 0.88


def test_mean_loss_is_weighted_by_votes_and_has_an_interval(rng):
    group = np.repeat(np.arange(8), 10)
    losses, votes = rng.exponential(0.6, 80), rng.integers(1, 4, 80)
    mean = measures.mean_loss_over_references(losses, examples(group, weight=votes))
    assert mean.value == pytest.approx(np.average(losses, weights=votes))
    assert 0 < mean.low < mean.value < mean.high
    # Three votes count as three answers.
    rows = np.repeat(np.arange(80), votes)
    apart = measures.mean_loss_over_references(losses[rows], examples(group[rows]))
    assert (apart.low, apart.high) == pytest.approx((mean.low, mean.high))
    few = measures.mean_loss_over_references(losses[:50], examples(group[:50]))
    assert np.isnan([few.low, few.high]).all()


def test_difference_of_losses_is_significant_only_for_a_better_predictor(rng):
    group = np.repeat(np.arange(20), 10)
    truth = rng.uniform(0.05, 0.95, 200)
    said = (rng.random(200) < truth).astype(float)
    good, noisy = (
        measures.log_loss(p, said)
        for p in (truth, np.clip(truth + rng.normal(0, 0.3, 200), 0.01, 0.99))
    )
    better = measures.paired_loss_difference(good, noisy, examples(group))
    assert better.difference.value == pytest.approx((good - noisy).mean())
    assert better.difference.high < 0 and better.p < 0.05
    same = measures.paired_loss_difference(good, good.copy(), examples(group))
    assert (same.difference.value, same.p) == (0, 1)
    assert np.isnan([same.difference.low, same.difference.high]).all()
    shuffled = measures.paired_loss_difference(noisy, rng.permutation(noisy), examples(group))
    assert shuffled.p > 0.05
    assert np.isnan(measures.paired_loss_difference(good[:50], noisy[:50], examples(group[:50])).p)
