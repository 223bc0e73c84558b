"""Results of a measurement of the service, and how they are computed from its turns."""

import statistics
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from roi_ray.bench.service.load import LoadTurn
from roi_ray.bench.service.options import Load
from roi_ray.bench.service.requests import Answer
from roi_ray.bench.service.scorer import ScorerTurn
from roi_ray.bench.service.server import ProcessMemory


@dataclass(frozen=True)
class ScorerSpeed:
    """The bare scorer.

    Attributes:
        pairs_per_s: pairs per second beside the idle service, the references' time included.
        quiet_pairs_per_s: the same before the service was started.
        pair_ms: median milliseconds of a pair: the image is decoded and scored.
        reference_ms: median milliseconds of a reference: it is decoded and prepared.
    """

    pairs_per_s: float
    quiet_pairs_per_s: float
    pair_ms: float
    reference_ms: float


@dataclass(frozen=True)
class LoadResult:
    """The service under one load.

    Attributes:
        clients: requests at a time.
        images: images per request.
        requests: requests of all turns.
        pairs_per_s: pairs per second, the median of the turns; the references' time included.
        ratio: that over the pairs per second of the bare scorer just before and after, the median
            of the turns.
        p50_ms: median latency of the requests that name their reference by its hash.
        p99_ms: 99th percentile of their latencies.
        first_p50_ms: median latency of the requests that send a new reference.
        overhead_ms: `p50_ms` less the bare scorer's time for the images of a request; None for
            several clients, whose requests wait for each other.
        wrong: images whose numbers are missing or not exactly those of the scorer.
        lost: requests without an answer.
        errors: answers with an error, by status and kind.
        prepared_again: requests that named a prepared reference, which was prepared again.
        client_share: CPU time of the clients, as a share of one CPU.
    """

    clients: int
    images: int
    requests: int
    pairs_per_s: float
    ratio: float
    p50_ms: float
    p99_ms: float
    first_p50_ms: float
    overhead_ms: float | None
    wrong: int
    lost: int
    errors: dict[str, int]
    prepared_again: int
    client_share: float


@dataclass(frozen=True)
class ServiceBenchResult:
    """Results of a measurement of the service.

    Attributes:
        machine: description of the machine.
        threads: CPU threads of the bare scorer, and of the service's process that scores.
        width: width of the images in pixels.
        height: height of the images in pixels.
        per_reference: distorted images per reference.
        scorer: the bare scorer.
        loads: the service under each load.
        soak: the service under the loads of the soak; their ratio is to the bare scorer of the
            rounds. Empty if it was left out.
        soak_minutes: duration of the soak.
        memory: memory of each process of the service, during the soak if there was one.
    """

    machine: dict[str, Any]
    threads: int
    width: int
    height: int
    per_reference: int
    scorer: ScorerSpeed
    loads: list[LoadResult]
    soak: list[LoadResult]
    soak_minutes: float
    memory: list[ProcessMemory]

    def as_json(self) -> dict[str, Any]:
        """Convert to JSON values."""
        return asdict(self)


def summarise_scorer(quiet: ScorerTurn, turns: Sequence[ScorerTurn]) -> ScorerSpeed:
    """Summarise the turns of the bare scorer before and after the service was started."""
    return ScorerSpeed(
        pairs_per_s=statistics.median(turn.pairs_per_s for turn in turns),
        quiet_pairs_per_s=quiet.pairs_per_s,
        pair_ms=1000 * statistics.median(s for turn in turns for s in turn.pair_seconds),
        reference_ms=1000 * statistics.median(s for turn in turns for s in turn.reference_seconds),
    )


def summarise_load(
    load: Load, turns: Sequence[LoadTurn], bare: Sequence[float], pair_ms: float
) -> LoadResult:
    """Summarise the turns of one load.

    Args:
        load: what was sent.
        turns: its turns; at least one.
        bare: pairs per second of the bare scorer beside each turn.
        pair_ms: see `ScorerSpeed`.
    """
    answers = [answer for turn in turns for answer in turn.answers]
    by_hash = _latencies(answers, lambda a: not a.sent_reference and a.images == load.images)
    p50 = _percentile(by_hash, 50)
    errors = Counter(answer.error for answer in answers if answer.error and not answer.lost)
    return LoadResult(
        clients=load.clients,
        images=load.images,
        requests=len(answers),
        pairs_per_s=statistics.median(turn.pairs_per_s for turn in turns),
        ratio=statistics.median(t.pairs_per_s / b for t, b in zip(turns, bare, strict=True)),
        p50_ms=p50,
        p99_ms=_percentile(by_hash, 99),
        first_p50_ms=_percentile(_latencies(answers, lambda answer: answer.sent_reference), 50),
        overhead_ms=p50 - load.images * pair_ms if load.clients == 1 else None,
        wrong=sum(answer.wrong for answer in answers),
        lost=sum(turn.lost for turn in turns),
        errors=dict(errors),
        prepared_again=sum(a.cached is False and not a.sent_reference for a in answers),
        client_share=statistics.median(turn.client_share for turn in turns),
    )


def _latencies(answers: Sequence[Answer], choose: Callable[[Answer], bool]) -> list[float]:
    return sorted(a.milliseconds for a in answers if not a.error and choose(a))


def _percentile(ordered: Sequence[float], percent: int) -> float:
    """Return the smallest value that at least so many percent do not exceed; NaN of none."""
    if not ordered:
        return float("nan")
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]
