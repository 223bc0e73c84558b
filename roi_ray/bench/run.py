"""The benchmark as a whole: contenders, parts, growth and the job, in one run."""

import functools
import platform
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from roi_ray.bench import breakdown, workload
from roi_ray.bench.breakdown import MachineLimits, Part
from roi_ray.bench.contenders import (
    Contender,
    against,
    backbones,
    make,
    read_file,
)
from roi_ray.bench.job import JobSpeed, bare, job
from roi_ray.bench.options import SaliencyName
from roi_ray.bench.timing import Timing, ratio, time_interleaved
from roi_ray.bench.workload import Group
from roi_ray.runtime.device import find_device
from roi_ray.scoring.scorer import DTYPES
from roi_ray.settings import Settings

_OWN = "roi-ray"
_SIZE = 512
_JOB_IMAGES = 24


@dataclass(frozen=True)
class BenchOptions:
    """What is measured.

    Attributes:
        photographs: image files to measure on.
        rivals: what roi-ray is held against.
        sizes: sides of square images; the rivals meet the first one only.
        per_reference: distorted images of a reference, K; the rivals meet the first two only.
        saliency: N of all contenders.
        settings: of roi-ray; the precision counts, the networks are chosen by the contenders.
        device: see `find_device`.
        batch: of roi-ray; see `Scorer`.
        references: of the races and the growth, scored together: a GPU takes many at once.
        decoded: all images are in memory beforehand, instead of in files.
        rounds: that count.
        job_pairs: pairs of the job; 0 for no job.
    """

    photographs: Sequence[Path]
    rivals: Sequence[str]
    sizes: Sequence[int]
    per_reference: Sequence[int]
    saliency: SaliencyName
    settings: Settings
    device: str
    batch: int | None
    references: int
    decoded: bool
    rounds: int
    job_pairs: int


@dataclass(frozen=True)
class JobComparison:
    """The scorer alone in one and in two processes of one thread; the job on one and two CPUs."""

    bare: dict[int, float]
    job: dict[int, JobSpeed]


@dataclass(frozen=True)
class BenchResult:
    """What was found.

    Attributes:
        machine: what it ran on.
        against: timings of all contenders, by K.
        curve: milliseconds a pair of roi-ray, by K.
        fit: fixed milliseconds a reference and marginal ones a pair that fit the curve best, and
            the largest relative distance of the curve from fixed / K + marginal; None of less than
            three K.
        sizes: milliseconds a pair of roi-ray, by side, at the first K.
        parts: where the time goes.
        limits: of the machine.
        shares: of the limit that the networks reach together, by K.
        job: None if it was left out.
    """

    machine: dict[str, Any]
    against: dict[int, dict[str, Timing]]
    curve: dict[int, float]
    fit: tuple[float, float, float] | None
    sizes: dict[int, float]
    parts: list[Part]
    limits: MachineLimits
    shares: dict[int, float]
    job: JobComparison | None

    def as_json(self) -> dict[str, Any]:
        """All of it, with the ratio of each contender to what it is held against."""
        ratios = {
            k: {name: ratio(timing, timings[against(name)]) for name, timing in timings.items()}
            for k, timings in self.against.items()
        }
        return {**asdict(self), "ratios": ratios}


def run_benchmark(plan: BenchOptions, say: Callable[[str], None] = lambda _: None) -> BenchResult:
    """Measure.

    Args:
        plan: what.
        say: told what is begun.

    Raises:
        RoiRayError: no such device, or a rival is not installed.
    """
    device = find_device(plan.device)
    read = functools.cache(read_file) if plan.decoded else read_file
    contenders = make(plan.rivals, plan.settings, device, plan.saliency, read, plan.batch)
    first = plan.sizes[0]
    with tempfile.TemporaryDirectory() as folder:

        def groups(size: int, images: int) -> list[Group]:
            here, square = Path(folder) / f"{size}-{images}", (size, size)
            return workload.make_groups(plan.photographs, here, square, plan.references, images)

        races = {}
        for k in plan.per_reference[:2]:
            say(f"{first} x {first}, {k} images of a reference: {', '.join(contenders)}")
            races[k] = _time(contenders, groups(first, k), plan.rounds, device)
        own = {_OWN: contenders[_OWN]}
        say("growth with the images of a reference, and with their size")
        curve = {
            k: _time(own, groups(first, k), plan.rounds, device)[_OWN].per_pair
            for k in sorted(plan.per_reference)
        }
        sizes = {
            side: _time(own, groups(side, plan.per_reference[0]), plan.rounds, device)[
                _OWN
            ].per_pair
            for side in plan.sizes
        }
        say("the parts, and the limit")
        networks = backbones(plan.saliency).networks.to(device, DTYPES[plan.settings.precision])
        pair = groups(_SIZE, 2)[0]
        files = (pair.reference.read_bytes(), pair.distorted[0].read_bytes())
        split, limits = breakdown.measure(networks, *files, device, plan.rounds)
        jobs = None
        if plan.job_pairs and device.type == "cpu":
            jobs = _job(plan, Path(folder), say)
        elif plan.job_pairs:
            say("the job is measured on a CPU alone: left out")
    return BenchResult(
        machine=_machine(device),
        against=races,
        curve=curve,
        fit=_fit(curve),
        sizes=sizes,
        parts=split,
        limits=limits,
        shares={k: breakdown.networks_share(split, limits.gflops, k) for k in races},
        job=jobs,
    )


def _fit(curve: dict[int, float]) -> tuple[float, float, float] | None:
    if len(curve) <= 2:
        return None  # two values fit any two
    counts, values = np.array(list(curve)), np.array(list(curve.values()))
    # Least squares of relative errors.
    terms = np.stack([1 / counts, np.ones(len(counts))], axis=1)
    fixed, marginal = np.linalg.lstsq(terms / values[:, None], np.ones(len(values)), rcond=None)[0]
    off = np.abs(terms @ (fixed, marginal) / values - 1).max()
    return float(fixed), float(marginal), float(off)


def _time(
    contenders: dict[str, Contender], groups: Sequence[Group], rounds: int, device: torch.device
) -> dict[str, Timing]:
    works = {name: lambda score=score: score(groups) for name, score in contenders.items()}
    return time_interleaved(works, rounds, sum(len(group.distorted) for group in groups), device)


def _job(plan: BenchOptions, folder: Path, say: Callable[[str], None]) -> JobComparison:
    references = max(4, plan.job_pairs // _JOB_IMAGES)
    groups = workload.make_groups(
        plan.photographs, folder / "job", (_SIZE, _SIZE), references, _JOB_IMAGES
    )
    # The packaged networks, whose files an actor can load.
    settings = replace(Settings(), precision=plan.settings.precision)
    rates, jobs = {}, {}
    for count in (1, 2):
        some = groups if count == 2 else groups[: len(groups) // 2]
        few = some[: 2 * max(1, len(some) // 8)]
        say(f"the scorer alone, in {count} processes of one thread")
        before = bare(few, settings, count, threads=1)
        say(f"the job, on {count} CPUs: {len(some) * _JOB_IMAGES} pairs")
        jobs[count] = job(some, folder / f"job-{count}", settings, count)
        # Before and after, as a machine's speed drifts.
        say(f"the scorer alone, in {count} processes of one thread, again")
        rates[count] = (before + bare(few, settings, count, threads=1)) / 2
    return JobComparison(rates, jobs)


def _machine(device: torch.device) -> dict[str, Any]:
    names = [line for line in _cpuinfo() if line.startswith("model name")]
    return {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "cpu": names[0].split(":")[1].strip() if names else platform.processor(),
        "cpus": len(names) or None,
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "system": platform.platform(),
    }


def _cpuinfo() -> list[str]:
    file = Path("/proc/cpuinfo")
    return file.read_text().splitlines() if file.is_file() else []
