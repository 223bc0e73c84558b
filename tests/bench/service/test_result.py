"""What is computed from the turns of a measurement of the service."""

import math

import pytest

from roi_ray.bench.service.load import LoadTurn, read_answers
from roi_ray.bench.service.options import Load, ServiceBenchOptions
from roi_ray.bench.service.requests import Answer
from roi_ray.bench.service.result import summarise_load, summarise_scorer
from roi_ray.bench.service.scorer import ScorerTurn


def test_load_of_one_client_has_latencies_and_overhead() -> None:
    answers = [
        Answer(10.0, 500.0, 1, sent_reference=True, cached=False),
        *(Answer(11.0 + i, 100.0 + i, 1, sent_reference=False, cached=True) for i in range(100)),
    ]
    turn = LoadTurn(Load(1, 1), tuple(answers), 101)
    result = summarise_load(Load(1, 1), [turn, turn], [2.0, 0.5], pair_ms=90.0)
    assert turn.seconds == pytest.approx(100.199)
    assert result.requests == 202
    assert result.pairs_per_s == pytest.approx(101 / 100.199)
    assert result.ratio == pytest.approx(result.pairs_per_s * (1 / 2.0 + 1 / 0.5) / 2)
    assert (result.p50_ms, result.p99_ms, result.first_p50_ms) == (149.0, 198.0, 500.0)
    assert result.overhead_ms == pytest.approx(59.0)
    assert (result.wrong, result.lost, result.errors, result.prepared_again) == (0, 0, {}, 0)


def test_wrong_lost_failed_and_uncached_answers_are_counted() -> None:
    answers = (
        Answer(0.0, 100.0, 4, sent_reference=True, cached=False),
        Answer(0.1, 100.0, 4, sent_reference=False, cached=False, wrong=3),
        Answer(0.2, 5.0, 4, sent_reference=False, error="429 TooManyRequests"),
        Answer(0.3, 900.0, 4, sent_reference=False, error="no answer: timed out", lost=True),
    )
    turn = LoadTurn(Load(4, 4), answers, 6)
    result = summarise_load(Load(4, 4), [turn], [1.0], pair_ms=10.0)
    assert turn.pairs == 5
    assert result.wrong == 3
    assert result.lost == 3  # one had no answer, and two were never sent
    assert result.errors == {"429 TooManyRequests": 1}
    assert result.prepared_again == 1
    assert result.p50_ms == 100.0
    assert result.overhead_ms is None


def test_latencies_of_unanswered_requests_are_unknown() -> None:
    answers = (Answer(0.0, 5.0, 1, sent_reference=False, error="503 ServiceClosing"),)
    result = summarise_load(Load(1, 1), [LoadTurn(Load(1, 1), answers, None)], [1.0], 10.0)
    assert math.isnan(result.p50_ms)
    assert result.pairs_per_s == 0


def test_scorer_counts_the_time_of_the_references() -> None:
    quiet, turn = ScorerTurn((0.5,), (0.25, 0.25)), ScorerTurn((1.0,), (0.4, 0.6))
    speed = summarise_scorer(quiet, [turn, turn])
    assert speed.quiet_pairs_per_s == 2.0
    assert speed.pairs_per_s == 1.0
    assert (speed.pair_ms, speed.reference_ms) == (500.0, 1000.0)


def test_every_client_scores_whole_references() -> None:
    options = ServiceBenchOptions([], (512, 512), 8, 2, rounds=1, minutes=0, turn_pairs=96)
    counts = [options.references_per_client(Load(clients, 1)) for clients in (1, 4, 16)]
    assert counts == [12, 3, 1]


def test_answers_are_read_in_the_order_in_which_they_were_sent(tmp_path) -> None:
    file = tmp_path / "answers.jsonl"
    line = '{{"started": {}, "milliseconds": 1.0, "images": 1, "sent_reference": true}}\n'
    file.write_text(line.format(2.0) + line.format(1.0))
    assert [answer.started for answer in read_answers(file)] == [1.0, 2.0]
