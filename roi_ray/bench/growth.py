"""Measure how time and memory grow with the images' size and with K, the images per reference."""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path

import numpy as np
import torch

from roi_ray.bench.implementations import Implementation
from roi_ray.bench.memory import JobMemory, measure_job_memory
from roi_ray.bench.options import BenchOptions
from roi_ray.bench.timing import Timing, median_ratio, time_interleaved
from roi_ray.bench.workload import Group, make_groups


@dataclass(frozen=True)
class Growth:
    """Time and memory of roi-ray at one size and one K.

    Attributes:
        height: height of the images in pixels.
        width: width of the images in pixels.
        per_reference: number of distorted images per reference, K.
        timing: durations of the scorer alone, from files to numbers.
        ms_per_megapixel: median milliseconds per pair, divided by its megapixels.
        ratio: time per megapixel divided by that at the first size and the same K: the median of
            the ratios of the rounds.
        memory: peak memory of a job of these images alone, by engine.
    """

    height: int
    width: int
    per_reference: int
    timing: Timing
    ms_per_megapixel: float
    ratio: float
    memory: dict[str, JobMemory]


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


Workload = Mapping[tuple[tuple[int, int], int], Sequence[Group]]
"""The images of each size (height, width) and K; the first size is the one to compare with."""

Memory = Mapping[tuple[tuple[int, int], int], dict[str, JobMemory]]
"""Memory of jobs by engine, by size and K."""


def make_workload(options: BenchOptions, folder: Path) -> Workload:
    """Write the images of each size and K."""
    return {
        (size, k): make_groups(
            options.photographs,
            folder / f"{size[1]}x{size[0]}-{k}",
            size,
            options.references,
            k,
        )
        for size in options.sizes
        for k in sorted(options.per_reference)
    }


def measure_memory(
    workload: Workload, options: BenchOptions, report: Callable[[str], None]
) -> Memory:
    """Measure the memory of whole jobs at the first two K, each in processes of its own."""
    memory: dict[tuple[tuple[int, int], int], dict[str, JobMemory]] = {}
    for (size, k), groups in workload.items():
        memory[size, k] = {}
        for engine in options.engines if k in options.per_reference[:2] else ():
            report(f"memory of a job: {size[1]} x {size[0]}, K = {k}, engine {engine}")
            pixels = size[0] * size[1]
            job = measure_job_memory(groups, pixels, engine, options.settings, options.device)
            if job is not None:
                memory[size, k][engine] = job
    return memory


def measure_growth(
    implementation: Implementation,
    workload: Workload,
    memory: Memory,
    rounds: int,
    device: torch.device,
) -> list[Growth]:
    """Time the scorer at every size and K. All take turns, so that drift affects all of them."""
    functions = {
        f"{size}, {k}": functools.partial(implementation, groups)
        for (size, k), groups in workload.items()
    }
    timings = time_interleaved(functions, rounds, device=device)
    first_size = next(iter(workload))[0]
    growth: list[Growth] = []
    for (size, k), groups in workload.items():
        pairs = sum(len(group.distorted) for group in groups)
        timing = replace(timings[f"{size}, {k}"], pairs=pairs)
        larger = prod(size) / prod(first_size)
        growth.append(
            Growth(
                *size,
                per_reference=k,
                timing=timing,
                ms_per_megapixel=1e6 * timing.ms_per_pair / prod(size),
                ratio=median_ratio(timing, timings[f"{first_size}, {k}"]) / larger,
                memory=memory[size, k],
            )
        )
    return growth


def fit_curve(ms_per_pair: Mapping[int, float]) -> CurveFit | None:
    """Fit the curve by least squares of the relative errors; None for fewer than three K."""
    if len(ms_per_pair) <= 2:
        return None  # the fit has two parameters
    counts, values = np.array(list(ms_per_pair)), np.array(list(ms_per_pair.values()))
    terms = np.stack([1 / counts, np.ones(len(counts))], axis=1)
    fixed, marginal = np.linalg.lstsq(terms / values[:, None], np.ones(len(values)), rcond=None)[0]
    max_error = np.abs(terms @ (fixed, marginal) / values - 1).max()
    return CurveFit(float(fixed), float(marginal), float(max_error))
