import pytest

from roi_ray.bench.timing import Timing, median_ratio, time_interleaved


def test_functions_take_turns_and_the_warm_up_is_not_measured() -> None:
    calls = []
    functions = {name: lambda name=name: calls.append(name) for name in "ab"}
    timings = time_interleaved(functions, rounds=3, pairs=2)
    assert calls == list("ab" * 4)
    assert [len(timing.seconds) for timing in timings.values()] == [3, 3]


def test_medians_and_ratios_ignore_outliers() -> None:
    slow, fast = Timing((4.0, 6.0, 50.0), 2), Timing((1.0, 2.0, 5.0), 2)
    assert slow.ms_per_pair == 3000
    assert fast.spread == 5
    assert median_ratio(slow, fast) == pytest.approx(4)
