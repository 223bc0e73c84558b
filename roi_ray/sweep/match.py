"""Search the quality of a codec that meets a size or a score of an image."""

import math
from collections.abc import Callable
from typing import NamedTuple

from roi_ray.errors import NonFiniteScore, TargetMissed
from roi_ray.sweep.codec import QualityScale
from roi_ray.sweep.target import TARGET_METRICS

MAX_TRIALS = 16
"""Largest number of qualities that a search tries: enough for scales of 8,000 steps."""

_FINE_STEPS = 256
_FINE_SHARE = 0.1
"""On a scale of more than `_FINE_STEPS` qualities, a search ends at this share of the tolerance."""


class Match(NamedTuple):
    """The outcome of a search.

    Attributes:
        quality: the quality that comes closest to the target.
        value: what the image has of the metric at that quality.
    """

    quality: float
    value: float


def match_target(
    scale: QualityScale,
    metric: str,
    target: float,
    evaluate: Callable[[float], float],
    tolerance: float | None = None,
) -> Match:
    """Search the quality at which an image comes closest to a target, by bisection.

    Values need to grow with quality on the whole only: when the bisection ends, both neighbours are
    tried, and the closest of all qualities that were tried is taken; of two that are as close, the
    one with the smaller file. The same values always lead to the same qualities, whatever else is
    searched for.

    Args:
        scale: the codec's scale; only its steps are tried.
        metric: name from `TARGET_METRICS`.
        target: wanted value.
        evaluate: returns what the image has of the metric at a quality.
        tolerance: largest distance from the target, for bpp a share of it; None for the metric's
            own.

    Raises:
        TargetMissed: the closest quality is outside the tolerance; the message has its neighbours.
        NonFiniteScore: a value is not a number.
    """
    search = _Search(scale, metric, target, evaluate)
    tolerance = TARGET_METRICS[metric].tolerance if tolerance is None else tolerance
    best = search.run(tolerance)
    if search.distance(best) > tolerance:
        raise TargetMissed(search.explain_miss(best, tolerance))
    return Match(search.quality(best), search.values[best])


class _Search:
    """A search over ranks: 0 is the worst quality of the scale, `count - 1` the best."""

    def __init__(
        self,
        scale: QualityScale,
        metric: str,
        target: float,
        evaluate: Callable[[float], float],
    ) -> None:
        self._scale, self._metric_name, self._target = scale, metric, target
        self._metric = TARGET_METRICS[metric]
        self._evaluate = evaluate
        self._first = math.ceil(scale.lowest / scale.step - 1e-6)
        self.count = math.floor(scale.highest / scale.step + 1e-6) - self._first + 1
        self.values: dict[int, float] = {}

    def run(self, tolerance: float) -> int:
        """Return the rank that comes closest."""
        enough = _FINE_SHARE * tolerance if self.count > _FINE_STEPS else 0.0
        below, above = -1, self.count
        while above - below > 1 and len(self.values) < MAX_TRIALS:
            middle = (below + above) // 2
            value = self._try(middle)
            if self.distance(middle) <= enough:
                return middle
            if value < self._target:
                below = middle
            else:
                above = middle
        # Curves are not exactly monotonic.
        for rank in (below - 1, above + 1):
            if 0 <= rank < self.count and len(self.values) < MAX_TRIALS:
                self._try(rank)
        return min(self.values, key=lambda rank: (self.distance(rank), rank))

    def quality(self, rank: int) -> float:
        """Return the quality of a rank."""
        step = self._first + (rank if self._scale.higher_is_better else self.count - 1 - rank)
        # Multiples such as 3 * 0.1 have digits that the scale does not mean.
        return round(step * self._scale.step, 9)

    def distance(self, rank: int) -> float:
        """Return how far the value of a rank is from the target."""
        return self._metric.distance(self.values[rank], self._target)

    def explain_miss(self, best: int, tolerance: float) -> str:
        """Say that no quality meets the target, and which come next."""
        below = max((r for r, v in self.values.items() if v < self._target), default=None)
        above = min((r for r, v in self.values.items() if v >= self._target), default=None)
        if below is None or above is None:
            end = "best" if above is None else "worst"
            found = f"{self._describe(best)}, the {end} of its scale"
            # A curve that is flat at its end has its extreme elsewhere.
            if best not in (0, self.count - 1):
                found = f"the closest of its scale: {self._describe(best)}"
        else:
            found = ", ".join(map(self._describe, sorted({below, above, best})))
        return (
            f"no quality gives {self._metric_name} {self._target:g} within "
            f"{self._metric.describe_tolerance(tolerance)}: {found}"
        )

    def _describe(self, rank: int) -> str:
        return f"quality {self.quality(rank):g} gives {self.values[rank]:.4g}{self._metric.unit}"

    def _try(self, rank: int) -> float:
        if rank not in self.values:
            quality = self.quality(rank)
            value = self._evaluate(quality)
            if math.isnan(value):
                raise NonFiniteScore(f"{self._metric_name} at quality {quality:g} is not a number")
            self.values[rank] = value
        return self.values[rank]
