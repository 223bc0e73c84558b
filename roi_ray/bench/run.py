"""Run a benchmark: comparison with rivals, growth, steps, and the whole job."""

import functools
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from roi_ray.bench.breakdown import Breakdown, compute_network_utilisation, measure_steps
from roi_ray.bench.compare.source import describe_source
from roi_ray.bench.growth import (
    CurveFit,
    Growth,
    fit_curve,
    make_workload,
    measure_growth,
    measure_memory,
)
from roi_ray.bench.implementations import (
    ROI_RAY,
    Implementation,
    build_implementations,
    find_baseline,
)
from roi_ray.bench.job import JobSpeed, ScorerSpeed, measure_job, measure_scorer
from roi_ray.bench.machine import describe_machine
from roi_ray.bench.networks import build_networks
from roi_ray.bench.options import BenchOptions
from roi_ray.bench.timing import Timing, median_ratio, time_interleaved
from roi_ray.bench.workload import Group, make_groups, read_file
from roi_ray.runtime.device import find_device
from roi_ray.runtime.precision import DTYPES, fastest_precision
from roi_ray.settings import Settings

_SIZE = 512
_JOB_IMAGES = 24
_JOB_CPUS = 2


@dataclass(frozen=True)
class JobComparison:
    """The job and the scorer alone on the same pairs, with one thread per process.

    Attributes:
        processes: number of processes that score.
        scorer: speed of the scorer alone, before the job and after it.
        job: speed of the job.
    """

    processes: int
    scorer: tuple[ScorerSpeed, ScorerSpeed]
    job: JobSpeed


@dataclass(frozen=True)
class BenchResult:
    """Results of a benchmark.

    Attributes:
        source: the code that was measured, so that `--compare` finds it again.
        settings: what was measured.
        machine: description of the machine.
        timings: timings of all implementations by name, by K.
        growth: time and memory of roi-ray by size and K.
        breakdown: times of the steps of scoring, what they add up to, and the machine's limits.
        utilisation: share of the machine's GFLOP/s that all networks together reach, by K.
        job: the whole job; None if it was left out.
    """

    source: dict[str, Any]
    settings: dict[str, Any]
    machine: dict[str, Any]
    timings: dict[int, dict[str, Timing]]
    growth: list[Growth]
    breakdown: Breakdown
    utilisation: dict[int, float]
    job: JobComparison | None

    @property
    def growth_of_first_size(self) -> list[Growth]:
        """Growth with K, at the first size."""
        first = self.growth[0]
        return [g for g in self.growth if (g.height, g.width) == (first.height, first.width)]

    @property
    def fit(self) -> CurveFit | None:
        """Fit of the time per pair at the first size; None for fewer than three K."""
        growth = self.growth_of_first_size
        return fit_curve({g.per_reference: g.timing.ms_per_pair for g in growth})

    def as_json(self) -> dict[str, Any]:
        """Convert to JSON values, and add each implementation's time over that of its baseline."""
        ratios = {
            k: {
                name: median_ratio(timing, timings[find_baseline(name)])
                for name, timing in timings.items()
            }
            for k, timings in self.timings.items()
        }
        fit = asdict(self.fit) if self.fit else None
        values = asdict(self)
        return {**values.pop("breakdown"), **values, "fit": fit, "ratios": ratios}


def run_benchmark(
    options: BenchOptions, report: Callable[[str], None] = lambda _: None
) -> BenchResult:
    """Measure everything that the options ask for.

    Args:
        options: options of the benchmark.
        report: function that receives a line of text before each part of the benchmark.

    Raises:
        UsageError: a rival is unknown or not installed, or there are no photographs.
        DeviceError: the device does not exist.
    """
    device = find_device(options.device)
    if options.settings.precision == "auto":
        settings = replace(options.settings, precision=fastest_precision(device))
        options = replace(options, settings=settings)
    read = functools.cache(read_file) if options.decoded else read_file
    implementations = build_implementations(
        options.rivals, options.settings, device, options.saliency, read, options.batch, report
    )
    size = options.sizes[0]
    with tempfile.TemporaryDirectory() as folder:
        workload = make_workload(options, Path(folder))
        # First, while this process is small.
        memory = measure_memory(workload, options, report)
        timings = {}
        for k in options.per_reference[:2]:
            names = ", ".join(implementations)
            report(f"{size[1]} x {size[0]}, {k} distorted images per reference: {names}")
            timings[k] = _time(implementations, workload[size, k], options.rounds, device)
        report("growth with the number and the size of the images")
        growth = measure_growth(implementations[ROI_RAY], workload, memory, options.rounds, device)
        report("the steps of scoring, and the limits of the machine")
        networks = build_networks(options.saliency).networks
        networks.to(device, DTYPES[options.settings.precision])
        pair = make_groups(options.photographs, Path(folder) / "steps", (_SIZE, _SIZE), 1, 2)[0]
        files = (pair.reference.read_bytes(), pair.distorted[0].read_bytes())
        breakdown = measure_steps(
            networks, *files, device, options.rounds, options.settings.precision
        )
        job = None
        if options.job_pairs and device.type == "cpu":
            job = _compare_job(options, Path(folder), report)
        elif options.job_pairs:
            report("the job is left out: it is measured on CPUs only")
    return BenchResult(
        source=describe_source(),
        settings=options.as_json(),
        machine=describe_machine(device),
        timings=timings,
        growth=growth,
        breakdown=breakdown,
        utilisation={
            k: compute_network_utilisation(breakdown.steps, breakdown.limits.gflops, k)
            for k in timings
        },
        job=job,
    )


def _time(
    implementations: Mapping[str, Implementation],
    groups: Sequence[Group],
    rounds: int,
    device: torch.device,
) -> dict[str, Timing]:
    functions = {
        name: functools.partial(implementation, groups)
        for name, implementation in implementations.items()
    }
    pairs = sum(len(group.distorted) for group in groups)
    return time_interleaved(functions, rounds, pairs, device)


def _compare_job(
    options: BenchOptions, folder: Path, report: Callable[[str], None]
) -> JobComparison:
    """Measure the job and the scorer alone, on two CPUs."""
    references = max(4, options.job_pairs // _JOB_IMAGES)
    groups = make_groups(
        options.photographs, folder / "job", (_SIZE, _SIZE), references, _JOB_IMAGES
    )
    # Actors load the packaged networks from their files; the random ones have no files.
    settings = replace(Settings(), precision=options.settings.precision)
    report(f"the scorer alone, in {_JOB_CPUS} processes of one thread")
    before = measure_scorer(groups, settings, _JOB_CPUS, threads=1)
    report(f"the job on {_JOB_CPUS} CPUs: {references * _JOB_IMAGES} pairs")
    job = measure_job(groups, folder / "job-scores", settings, _JOB_CPUS)
    # Measured before and after the job, because the speed of a machine drifts.
    report("the scorer alone again")
    after = measure_scorer(groups, settings, _JOB_CPUS, threads=1)
    return JobComparison(_JOB_CPUS, (before, after), job)
