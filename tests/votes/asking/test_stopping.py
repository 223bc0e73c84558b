from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from roi_ray import schema
from roi_ray.votes.asking.stopping import rank_so_far
from roi_ray.votes.options import VoteOptions
from tests.votes.asking.studies import make_votes

OPTIONS = VoteOptions()


def decide(table, **changes):
    names = changes.pop("names", ())
    return rank_so_far(table, replace(OPTIONS, **changes), names, resamples=50)


def test_one_stops_once_the_ranking_is_known():
    result = decide(make_votes([0, 2, 4], each=50))
    assert result.decision == "stop"
    assert result.expected_tau > 0.99
    assert [place.name for place in result.ranks] == ["m02", "m01", "m00"]
    assert all(place.low < place.score < place.high for place in result.ranks)
    assert (result.votes, result.groups) == (400, 1)
    assert result.advice.startswith("Stop: ") and "0.95 is enough" in result.advice


def test_one_goes_on_while_neighbours_are_not_told_apart():
    result = decide(make_votes([0, 0.05, 0.1, 3], each=20))
    assert result.decision == "go on"
    assert 0.3 < result.expected_tau < 0.95
    assert result.advice.startswith("Go on: ")
    assert decide(make_votes([0, 0.05, 0.1, 3], each=20), stop_at=0.3).decision == "stop"


def test_control_questions_and_hasty_answers_do_not_count():
    table = make_votes([0, 2, 4], each=10)
    gold = pa.array(np.arange(80) < 20)
    error = pa.array([None] * 60 + ["hasty"] * 20)
    marked = table.append_column(schema.GOLD, gold).append_column(schema.ERROR, error)
    assert decide(marked).votes == 40
    assert decide(marked).expected_tau == decide(table.slice(20, 40)).expected_tau


def test_few_originals_are_not_enough():
    result = decide(make_votes([0, 2, 4], references=5, each=50))
    assert result.decision == "not known"
    assert "votes about 5 originals" in result.advice and "6 or more" in result.advice


def test_groups_that_no_votes_link_are_named():
    table = make_votes([0, 1, 2, 3], each=50)
    ends = [pc.cast(pc.ends_with(table[c], "1"), "int8") for c in ("method_a", "method_b")]
    starts = [pc.cast(pc.ends_with(table[c], "0"), "int8") for c in ("method_a", "method_b")]
    low = [pc.greater(pc.add(x, y), 0) for x, y in zip(ends, starts, strict=True)]
    result = decide(table.filter(pc.equal(*low)))
    assert (result.decision, result.groups, result.expected_tau) == ("not known", 2, None)
    assert "no votes link 2 groups of methods" in result.advice


def test_methods_without_votes_are_named():
    result = decide(make_votes([0, 2, 4], each=50), names=["m00", "m01", "m02", "m07", "m08"])
    assert (result.decision, result.expected_tau) == ("not known", None)
    assert "no votes about m07 and 1 more" in result.advice


@pytest.mark.parametrize("column", [schema.METHOD_A, schema.P_A])
def test_votes_that_cannot_be_ranked_are_no_error(column):
    result = decide(make_votes([0, 2, 4]).drop_columns([column]))
    assert (result.decision, result.ranks) == ("not known", [])
    assert f"no column '{column}'" in result.advice


def test_without_votes_nothing_is_known():
    result = decide(make_votes([0, 2, 4]).slice(0, 0))
    assert result.decision == "not known"
    assert "no votes about two different methods" in result.advice


def test_ties_count():
    table = make_votes([0, 2, 4], ties=1.0)
    result = decide(table)
    assert result.decision == "go on"
    assert [place.score for place in result.ranks] == pytest.approx([0, 0, 0], abs=1e-6)
