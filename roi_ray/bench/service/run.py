"""Measure the service: the bare scorer and each load in turns, then a soak."""

import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import torch

from roi_ray.bench.machine import describe_machine
from roi_ray.bench.service.load import LoadTurn, send_load
from roi_ray.bench.service.options import Load, ServiceBenchOptions
from roi_ray.bench.service.result import (
    ServiceBenchResult,
    summarise_load,
    summarise_scorer,
)
from roi_ray.bench.service.scorer import BareScorer, ScorerTurn
from roi_ray.bench.service.server import MemorySampler, Server, serve_command
from roi_ray.bench.service.workload import SentReference, make_files, write_files
from roi_ray.runtime.packages import check_packages

_PACKAGES = ("locust", "skimage", "python_multipart")
"""What the extras install of what is needed."""

_TURN_SECONDS = 600
"""Longest duration of a turn."""

_SOAK_TURN_SECONDS = 60
_LEAST_SOAK_TURN_SECONDS = 10


@dataclass(frozen=True)
class _Turns:
    """Turns of a service and a scorer on the same files.

    Attributes:
        url: where the service listens.
        files: what `write_files` wrote.
        folder: folder for answers.
        options: options of the measurement.
        references: the files.
        scorer: the bare scorer.
    """

    url: str
    files: Path
    folder: Path
    options: ServiceBenchOptions
    references: Sequence[SentReference]
    scorer: BareScorer

    def measure_scorer(self) -> ScorerTurn:
        """Measure the bare scorer on about as many pairs as a turn of a load."""
        count = max(1, -(-self.options.turn_pairs // self.options.per_reference) // 2)
        chosen = [self.references[number % len(self.references)] for number in range(count)]
        return self.scorer.measure(chosen)

    def send(self, load: Load, references: int, seconds: float) -> LoadTurn:
        """Measure the service under a load."""
        requests = -(-self.options.per_reference // load.images)
        return send_load(self.url, self.files, self.folder, load, references, requests, seconds)


def run_service_benchmark(
    options: ServiceBenchOptions, report: Callable[[str], None] = lambda _: None
) -> ServiceBenchResult:
    """Measure the service, and the bare scorer with as many threads, in turns.

    Args:
        options: options of the measurement.
        report: function that receives a line of text before each part of it.

    Raises:
        UsageError: a package is not installed, or there are no photographs.
        RoiRayError: the service did not start, or locust failed.
    """
    check_packages(_PACKAGES, "the measurement", "bench,service")
    with tempfile.TemporaryDirectory() as name, BareScorer(options.threads) as scorer:
        folder = Path(name)
        report("the scores of all images, by the bare scorer")
        references = scorer.add_scores(
            make_files(options.photographs, folder / "files", options.size, options.per_reference)
        )
        write_files(references, folder / "files.json")
        report("the bare scorer, before the service starts")
        quiet = _Turns("", folder, folder, options, references, scorer).measure_scorer()
        with ExitStack() as stack:
            url, pid = options.url, None
            if url is None:
                report("the service starts")
                server = stack.enter_context(Server(serve_command(options.threads)))
                url, pid = server.url, server.pid
            turns = _Turns(url, folder / "files.json", folder, options, references, scorer)
            return _measure(turns, pid, quiet, report)


def _measure(
    turns: _Turns, pid: int | None, quiet: ScorerTurn, report: Callable[[str], None]
) -> ServiceBenchResult:
    options = turns.options
    turns.send(options.loads[0], 1, _TURN_SECONDS)  # warm-up
    with MemorySampler(pid) as memory_of_rounds:
        bare, loads = _measure_rounds(turns, report)
    scorer = summarise_scorer(quiet, bare)
    soak: dict[Load, list[LoadTurn]] = {}
    with MemorySampler(pid) as memory_of_soak:
        if options.minutes:
            soak = _soak(turns, report)
    memory = memory_of_soak if soak else memory_of_rounds
    results = []
    for number, load in enumerate(options.loads):
        positions = range(number, len(loads), len(options.loads))
        speeds = [(bare[i].pairs_per_s + bare[i + 1].pairs_per_s) / 2 for i in positions]
        results.append(summarise_load(load, [loads[i] for i in positions], speeds, scorer.pair_ms))
    return ServiceBenchResult(
        machine={**describe_machine(torch.device("cpu")), "threads": options.threads},
        threads=options.threads,
        width=options.size[1],
        height=options.size[0],
        per_reference=options.per_reference,
        scorer=scorer,
        loads=results,
        soak=[
            summarise_load(load, sent, [scorer.pairs_per_s] * len(sent), scorer.pair_ms)
            for load, sent in soak.items()
        ],
        soak_minutes=options.minutes,
        memory=memory.summarise(),
    )


def _measure_rounds(
    turns: _Turns, report: Callable[[str], None]
) -> tuple[list[ScorerTurn], list[LoadTurn]]:
    """Measure scorer, load, scorer, load, ..., scorer."""
    options, loads = turns.options, []
    bare = [turns.measure_scorer()]
    for number in range(1, options.rounds + 1):
        for load in options.loads:
            report(
                f"round {number} of {options.rounds}: {load.clients} clients, {load.images} images "
                "per request"
            )
            references = options.references_per_client(load)
            loads.append(turns.send(load, references, _TURN_SECONDS))
            bare.append(turns.measure_scorer())
    return bare, loads


def _soak(turns: _Turns, report: Callable[[str], None]) -> dict[Load, list[LoadTurn]]:
    """Send loads in turns for some minutes."""
    sent: dict[Load, list[LoadTurn]] = {}
    end = time.monotonic() + 60 * turns.options.minutes
    for load in cycle(turns.options.soak_loads):
        left = end - time.monotonic()
        if sent and left < _LEAST_SOAK_TURN_SECONDS:
            break
        report(f"soak: {load.clients} clients, {load.images} images per request; {left:.0f} s left")
        sent.setdefault(load, []).append(turns.send(load, 0, min(left, _SOAK_TURN_SECONDS)))
    return sent
