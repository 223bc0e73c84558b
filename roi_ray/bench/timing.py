"""Time several functions in turns, A B C, A B C, ..., so that drift of the machine affects all."""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Timing:
    """Durations of one function.

    Attributes:
        seconds: seconds of each round, in order.
        pairs: image pairs that the function scores per round.
    """

    seconds: tuple[float, ...]
    pairs: int

    @property
    def ms_per_pair(self) -> float:
        """Median milliseconds per pair."""
        return 1000 * statistics.median(self.seconds) / self.pairs

    @property
    def spread(self) -> float:
        """Longest round divided by the shortest one; 1 if all are equal."""
        return max(self.seconds) / min(self.seconds)


def time_interleaved(
    functions: Mapping[str, Callable[[], object]],
    rounds: int,
    pairs: int = 1,
    device: torch.device | None = None,
) -> dict[str, Timing]:
    """Call every function once per round, after a warm-up round that is not measured.

    Args:
        functions: functions by name.
        rounds: number of measured rounds.
        pairs: image pairs that each function scores.
        device: GPU to synchronise with before the clock is read.
    """
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for number in range(rounds + 1):
        for name, function in functions.items():
            _synchronise(device)
            started = time.perf_counter()
            function()
            _synchronise(device)
            if number > 0:
                seconds[name].append(time.perf_counter() - started)
    return {name: Timing(tuple(durations), pairs) for name, durations in seconds.items()}


def median_ratio(slow: Timing, fast: Timing) -> float:
    """Compute how many times as long `slow` takes as `fast`, the median ratio of all rounds."""
    return statistics.median(a / b for a, b in zip(slow.seconds, fast.seconds, strict=True))


def _synchronise(device: torch.device | None) -> None:
    if device is not None and device.type == "cuda":
        torch.cuda.synchronize(device)
