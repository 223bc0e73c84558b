import pytest

from roi_ray.bench.timing import Timing, ratio, time_interleaved


def test_works_take_turns_and_the_first_round_does_not_count() -> None:
    calls = []
    works = {name: lambda name=name: calls.append(name) for name in "ab"}
    timings = time_interleaved(works, rounds=3, pairs=2)
    assert calls == list("ab" * 4)
    assert [len(timing.seconds) for timing in timings.values()] == [3, 3]


def test_medians_and_ratios() -> None:
    slow, fast = Timing((4.0, 6.0, 50.0), 2), Timing((1.0, 2.0, 5.0), 2)
    assert slow.per_pair == 3000
    assert fast.spread == 5
    assert ratio(slow, fast) == pytest.approx(4)
