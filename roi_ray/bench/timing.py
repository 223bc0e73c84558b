"""Time things side by side: A B C, A B C, ... in one process, so that drift hits all alike."""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Timing:
    """Seconds of one contender, a number a round.

    Attributes:
        seconds: of each round, in the order of the rounds.
        pairs: image pairs of a round.
    """

    seconds: tuple[float, ...]
    pairs: int

    @property
    def per_pair(self) -> float:
        """Median milliseconds a pair."""
        return 1000 * statistics.median(self.seconds) / self.pairs

    @property
    def spread(self) -> float:
        """Largest over smallest round."""
        return max(self.seconds) / min(self.seconds)


def time_interleaved(
    works: Mapping[str, Callable[[], object]],
    rounds: int,
    pairs: int = 1,
    device: torch.device | None = None,
) -> dict[str, Timing]:
    """Run every work once a round, after one round that does not count.

    Args:
        works: by name.
        rounds: that count.
        pairs: image pairs that each work scores.
        device: one to wait for before the clock is read.
    """
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for number in range(rounds + 1):
        for name, work in works.items():
            _wait(device)
            started = time.perf_counter()
            work()
            _wait(device)
            if number:
                seconds[name].append(time.perf_counter() - started)
    return {name: Timing(tuple(taken), pairs) for name, taken in seconds.items()}


def ratio(slow: Timing, fast: Timing) -> float:
    """How many times as long the slow one takes: the median of the rounds' ratios."""
    return statistics.median(a / b for a, b in zip(slow.seconds, fast.seconds, strict=True))


def _wait(device: torch.device | None) -> None:
    if device is not None and device.type == "cuda":
        torch.cuda.synchronize(device)
