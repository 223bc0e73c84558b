import json

import numpy as np
import pyarrow as pa
import pytest

from roi_ray.errors import ManifestError
from roi_ray.votes.asking.simulated_training import count_asked, prepare_training
from roi_ray.votes.asking.simulation import choose_checkpoints, simulate
from tests.preference.synthetic import comparisons
from tests.votes.asking.studies import make_votes

SCORES = np.linspace(-2, 2, 6)


@pytest.fixture(scope="module")
def ranking():
    return simulate(make_votes(SCORES, each=25), seeds=2, votes=1000)


def test_both_orders_end_at_the_truth_once_all_answers_are_used(ranking):
    assert (ranking.answers, ranking.references, ranking.with_all) == (200, 8, 1.0)
    for curve in ranking.curves:
        assert curve.votes[-1] == 200
        assert curve.mean[-1] == 1
        assert curve.mean[0] < curve.mean[-1]


def test_levels_are_numbers_of_votes_from_which_on_the_mean_is_as_good(ranking):
    for curve in ranking.curves:
        assert [level.level for level in curve.levels] == [0.9, 0.95]
        for level in curve.levels:
            place = curve.votes.index(level.votes)
            assert min(curve.mean[place:]) >= level.level > curve.mean[place - 1]


def test_expected_tau_is_close_to_the_real_one(ranking):
    for curve in ranking.curves:
        surplus = np.subtract(curve.expected, curve.mean)
        assert surplus.mean() == pytest.approx(0, abs=0.1)


def test_the_result_is_json_and_repeatable():
    first, again = (simulate(make_votes(SCORES, each=25), seeds=1, votes=50) for _ in range(2))
    assert json.dumps(first.to_dict(), allow_nan=False) == json.dumps(again.to_dict())


def test_a_model_is_judged_on_other_references():
    result = simulate(comparisons(references=6, each=20), "model", seeds=1, votes=60)
    assert result.measure == "log-loss"
    for curve in result.curves:
        assert curve.votes[-1] == 60
        assert result.with_all - 0.05 < curve.mean[-1] < np.log(2)
        assert set(curve.expected) == {None}


def test_runs_about_different_references_end_at_the_same_number_of_votes():
    table = comparisons(references=6, each=20)
    _, numbers = np.unique(table["group"].to_pylist(), return_inverse=True)
    is_kept = np.arange(len(table)) % 20 < 10 + 2 * numbers
    uneven = table.filter(pa.array(is_kept))
    people = prepare_training(uneven)
    counts = [count_asked(people, seeds) for seeds in (1, 2, 3, 4)]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > counts[-1]
    result = simulate(uneven, "model", seeds=4)
    for curve in result.curves:
        assert curve.votes[-1] == counts[-1]
        assert len(curve.mean) == len(curve.votes)


def test_checkpoints_rise_to_the_last_vote():
    votes = choose_checkpoints(4000)
    assert votes[0] == 20 and votes[-1] == 4000
    assert (np.diff(votes) > 0).all()
    assert choose_checkpoints(7) == (7,)


def test_answers_that_cannot_be_simulated_are_refused():
    with pytest.raises(ManifestError, match="three methods or more"):
        simulate(make_votes([0, 1]))
    with pytest.raises(ManifestError, match="5 answers"):
        simulate(make_votes(SCORES[:3], references=1, each=5, seed=1))
    with pytest.raises(ManifestError, match="ssimulacra2"):
        simulate(make_votes(SCORES), "model")
