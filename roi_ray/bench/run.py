"""Run a benchmark: comparison with rivals, growth, steps, and the whole job."""

import functools
import platform
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from roi_ray.bench.breakdown import (
    MachineLimits,
    StepTime,
    compute_network_utilisation,
    measure_steps,
)
from roi_ray.bench.implementations import (
    ROI_RAY,
    Implementation,
    build_implementations,
    find_baseline,
)
from roi_ray.bench.job import JobSpeed, measure_job, measure_scorer
from roi_ray.bench.networks import build_networks
from roi_ray.bench.options import BenchOptions
from roi_ray.bench.timing import Timing, median_ratio, time_interleaved
from roi_ray.bench.workload import Group, make_groups, read_file
from roi_ray.runtime.device import find_device
from roi_ray.runtime.precision import DTYPES, fastest_precision
from roi_ray.settings import Settings

_SIZE = 512
_JOB_IMAGES = 24


@dataclass(frozen=True)
class CurveFit:
    """Fit of the time per pair, fixed_ms / K + marginal_ms, for K distorted images per reference.

    Attributes:
        fixed_ms: milliseconds per reference.
        marginal_ms: milliseconds per pair.
        max_error: largest relative error of the fit.
    """

    fixed_ms: float
    marginal_ms: float
    max_error: float


@dataclass(frozen=True)
class JobComparison:
    """The job and the scorer alone, with one thread per process.

    Attributes:
        scorer: pairs per second of the scorer alone, by number of processes.
        job: speed of the job, by number of CPUs.
    """

    scorer: dict[int, float]
    job: dict[int, JobSpeed]


@dataclass(frozen=True)
class BenchResult:
    """Results of a benchmark.

    Attributes:
        machine: description of the machine.
        timings: timings of all implementations by name, by K.
        ms_per_pair: milliseconds per pair of roi-ray, by K.
        fit: fit of `ms_per_pair`; None for fewer than three K.
        sizes: milliseconds per pair of roi-ray at the first K, by side of the images.
        steps: times of the steps of scoring.
        limits: highest speeds of the machine.
        utilisation: share of the machine's GFLOP/s that all networks together reach, by K.
        job: the whole job; None if it was left out.
    """

    machine: dict[str, Any]
    timings: dict[int, dict[str, Timing]]
    ms_per_pair: dict[int, float]
    fit: CurveFit | None
    sizes: dict[int, float]
    steps: list[StepTime]
    limits: MachineLimits
    utilisation: dict[int, float]
    job: JobComparison | None

    def as_json(self) -> dict[str, Any]:
        """Convert to JSON values, and add each implementation's time over that of its baseline."""
        ratios = {
            k: {
                name: median_ratio(timing, timings[find_baseline(name)])
                for name, timing in timings.items()
            }
            for k, timings in self.timings.items()
        }
        return {**asdict(self), "ratios": ratios}


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
    roi_ray = {ROI_RAY: implementations[ROI_RAY]}
    side, first_k = options.sizes[0], options.per_reference[0]
    with tempfile.TemporaryDirectory() as folder:

        def make_square_groups(side: int, k: int) -> list[Group]:
            subfolder = Path(folder) / f"{side}-{k}"
            return make_groups(options.photographs, subfolder, (side, side), options.references, k)

        def measure_ms_per_pair(side: int, k: int) -> float:
            groups = make_square_groups(side, k)
            return _time(roi_ray, groups, options.rounds, device)[ROI_RAY].ms_per_pair

        timings = {}
        for k in options.per_reference[:2]:
            names = ", ".join(implementations)
            report(f"{side} x {side}, {k} distorted images per reference: {names}")
            groups = make_square_groups(side, k)
            timings[k] = _time(implementations, groups, options.rounds, device)
        report("growth with the number and the size of the images")
        ms_per_pair = {k: measure_ms_per_pair(side, k) for k in sorted(options.per_reference)}
        sizes = {side: measure_ms_per_pair(side, first_k) for side in options.sizes}
        report("the steps of scoring, and the limits of the machine")
        networks = build_networks(options.saliency).networks
        networks.to(device, DTYPES[options.settings.precision])
        pair = make_square_groups(_SIZE, 2)[0]
        files = (pair.reference.read_bytes(), pair.distorted[0].read_bytes())
        steps, limits = measure_steps(networks, *files, device, options.rounds)
        job = None
        if options.job_pairs and device.type == "cpu":
            job = _compare_job(options, Path(folder), report)
        elif options.job_pairs:
            report("the job is left out: it is measured on CPUs only")
    return BenchResult(
        machine=_describe_machine(device),
        timings=timings,
        ms_per_pair=ms_per_pair,
        fit=_fit_curve(ms_per_pair),
        sizes=sizes,
        steps=steps,
        limits=limits,
        utilisation={k: compute_network_utilisation(steps, limits.gflops, k) for k in timings},
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


def _fit_curve(ms_per_pair: Mapping[int, float]) -> CurveFit | None:
    """Fit the curve by least squares of the relative errors."""
    if len(ms_per_pair) <= 2:
        return None  # the fit has two parameters
    counts, values = np.array(list(ms_per_pair)), np.array(list(ms_per_pair.values()))
    terms = np.stack([1 / counts, np.ones(len(counts))], axis=1)
    fixed, marginal = np.linalg.lstsq(terms / values[:, None], np.ones(len(values)), rcond=None)[0]
    max_error = np.abs(terms @ (fixed, marginal) / values - 1).max()
    return CurveFit(float(fixed), float(marginal), float(max_error))


def _compare_job(
    options: BenchOptions, folder: Path, report: Callable[[str], None]
) -> JobComparison:
    """Measure the job and the scorer alone, on one CPU and on two."""
    references = max(4, options.job_pairs // _JOB_IMAGES)
    groups = make_groups(
        options.photographs, folder / "job", (_SIZE, _SIZE), references, _JOB_IMAGES
    )
    # Actors load the packaged networks from their files; the random ones have no files.
    settings = replace(Settings(), precision=options.settings.precision)
    speeds, jobs = {}, {}
    for cpus in (1, 2):
        job_groups = groups if cpus == 2 else groups[: len(groups) // 2]
        scorer_groups = job_groups[: 2 * max(1, len(job_groups) // 8)]
        report(f"the scorer alone, in {cpus} processes of one thread")
        before = measure_scorer(scorer_groups, settings, cpus, threads=1)
        report(f"the job on {cpus} CPUs: {len(job_groups) * _JOB_IMAGES} pairs")
        jobs[cpus] = measure_job(job_groups, folder / f"job-{cpus}", settings, cpus)
        # Measured before and after the job, because the speed of a machine drifts.
        report(f"the scorer alone, in {cpus} processes of one thread, again")
        after = measure_scorer(scorer_groups, settings, cpus, threads=1)
        speeds[cpus] = (before + after) / 2
    return JobComparison(speeds, jobs)


def _describe_machine(device: torch.device) -> dict[str, Any]:
    models = [line for line in _read_cpuinfo() if line.startswith("model name")]
    return {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "cpu": models[0].split(":")[1].strip() if models else platform.processor(),
        "cpus": len(models) or None,
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "system": platform.platform(),
    }


def _read_cpuinfo() -> list[str]:
    file = Path("/proc/cpuinfo")
    return file.read_text().splitlines() if file.is_file() else []
