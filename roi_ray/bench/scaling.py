"""Measure how a job on Ray scales, by simulation: more actors than this machine has cores.

The job is real: manifest, plan, decoding, object store, Ray Data, committer and files. Only the
scoring actors wait as long as they would compute, so that a few cores suffice for many of them.
"""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from math import ceil
from pathlib import Path
from typing import Any

import torch

from roi_ray.bench.processor_use import UseSampler
from roi_ray.bench.waiting import ServiceTimes, make_blank_decoder, make_waiting_actor
from roi_ray.bench.workload import Group, make_groups, read_file, write_manifest
from roi_ray.errors import RoiRayError
from roi_ray.pipeline.decode_stage import decode_work_items
from roi_ray.pipeline.job import Stages
from roi_ray.pipeline.options import Options
from roi_ray.pipeline.run import score_manifest
from roi_ray.runtime.cluster import connect
from roi_ray.scoring.scorer import Scorer
from roi_ray.settings import Settings

_PHOTOGRAPHS = 8
_MAX_REFERENCES = 400
_OBJECT_STORE = 2 << 30
_ENOUGH = 0.9
"""Share of a processor's time above which it is what the others wait for."""


@dataclass(frozen=True)
class ScalingOptions:
    """What to simulate.

    Attributes:
        photographs: image files.
        actors: numbers of actors.
        times: what an actor takes; None for what scoring takes on one thread of this machine.
        size: height and width of the images in pixels.
        per_reference: distorted images per reference.
        decoded: whether the decode stage reads no files, and makes black images of that size.
        seconds: how long the steady phase of each job takes if nothing waits; it
            is shorter where that would be too many references.
    """

    photographs: Sequence[Path]
    actors: Sequence[int]
    times: ServiceTimes | None = None
    size: tuple[int, int] = (512, 512)
    per_reference: int = 24
    decoded: bool = False
    seconds: float = 12.0


@dataclass(frozen=True)
class Scaling:
    """Speed of a simulated job in its steady phase.

    The steady phase lasts from the time when each actor has scored two shards, on average, until
    an actor has no more work.

    Attributes:
        actors: number of actors.
        pairs: number of pairs.
        seconds: duration of the job, with the start of its processes.
        pairs_per_s: speed in the steady phase.
        ideal: speed of as many actors that never wait.
        driver: share of a core's time that the driver's process takes in the steady phase.
        machine: share of the time of all cores of this machine that is in use then.
    """

    actors: int
    pairs: int
    seconds: float
    pairs_per_s: float
    ideal: float
    driver: float
    machine: float

    @property
    def share(self) -> float:
        """Speed, as a share of the ideal."""
        return self.pairs_per_s / self.ideal

    @property
    def limit(self) -> str:
        """What the actors wait for."""
        if self.share > 1 - (1 - _ENOUGH) / 2:
            return "nothing"
        if self.driver > _ENOUGH:
            return "driver"
        # Decode tasks, and the processes of the actors themselves: more cores would be faster.
        return "cores of this machine" if self.machine > _ENOUGH else "Ray's messages"


@dataclass(frozen=True)
class ScalingResult:
    """Results of a simulation: what an actor takes, and the speed by number of actors."""

    times: ServiceTimes
    jobs: list[Scaling]

    def as_json(self) -> dict[str, Any]:
        """Convert to JSON values."""
        jobs = [{**asdict(job), "share": job.share, "limit": job.limit} for job in self.jobs]
        return {"times": asdict(self.times), "jobs": jobs}


def measure_service_times(groups: Sequence[Group], settings: Settings) -> ServiceTimes:
    """Measure what scoring takes on one thread; images are decoded before.

    Args:
        groups: images; the first group is a warm-up.
        settings: settings of the scorer.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    scorer = Scorer(settings, "cpu", allow_slow_precision=True)
    prepare, pair = [], []
    try:
        for group in groups:
            reference, images = read_file(group.reference), list(map(read_file, group.distorted))
            started = time.monotonic()
            (prepared,) = scorer.prepare_all([reference], [None])
            is_prepared = time.monotonic()
            list(scorer.score_pairs([(prepared, image) for image in images]))
            prepare.append(is_prepared - started)
            pair.append((time.monotonic() - is_prepared) / len(images))
    finally:
        torch.set_num_threads(threads)
    return ServiceTimes(min(prepare[1:]), min(pair[1:]))


def measure_scaling(
    options: ScalingOptions, folder: Path, report: Callable[[str], None] = lambda _: None
) -> ScalingResult:
    """Simulate a job with each number of actors, each on a local Ray of its own.

    Args:
        options: what to simulate.
        folder: folder for images, manifests and scores.
        report: function that receives a line of text before each part.

    Raises:
        RoiRayError: a pair failed.
    """
    files = options.photographs[:_PHOTOGRAPHS]
    groups = make_groups(files, folder / "files", options.size, len(files), options.per_reference)
    times = options.times
    if times is None:
        report("what scoring takes, on one thread")
        times = measure_service_times(groups[:3], Settings())
    jobs = []
    for actors in options.actors:
        report(f"a job with {actors} actors that wait as long")
        job = simulate_job(options, times, actors, groups, folder / f"actors-{actors}")
        report(f"{job.pairs_per_s:.1f} pairs/s, {job.share:.0%} of the ideal")
        jobs.append(job)
    return ScalingResult(times, jobs)


def simulate_job(
    options: ScalingOptions,
    times: ServiceTimes,
    actors: int,
    groups: Sequence[Group],
    folder: Path,
) -> Scaling:
    """Simulate a job, on a local Ray that counts a CPU for each actor.

    Args:
        options: what to simulate.
        times: what an actor takes.
        actors: number of actors.
        groups: images, which the job has many times under other names.
        folder: folder for manifest and scores.

    Raises:
        RoiRayError: a pair failed.
    """
    k = options.per_reference
    ideal = actors * times.pairs_per_s(k)
    # A reference is a shard, so that commits show when it was scored.
    references = min(ceil(ideal * options.seconds / k), _MAX_REFERENCES) + 4 * actors
    copies = _link_copies(groups, folder, references)
    write_manifest(copies, folder / "manifest.parquet")
    decode = make_blank_decoder(*options.size) if options.decoded else decode_work_items
    output = folder / "scores"
    with connect(cpus=actors, object_store=_OBJECT_STORE), UseSampler() as sampler:
        summary = score_manifest(
            str(folder / "manifest.parquet"),
            str(output),
            options=Options(engine="ray", device="cpu", actors=actors, shard_size=k),
            stages=Stages(decode, make_waiting_actor(times)),
        )
    if summary.failed:
        raise RoiRayError(f"{summary.failed} pairs failed: {summary.examples}")
    committed = sorted(path.stat().st_mtime for path in output.glob("shard-*.parquet"))
    first, last = committed[2 * actors - 1], committed[-actors]
    driver, machine = sampler.shares(first, last)
    return Scaling(
        actors=actors,
        pairs=references * k,
        seconds=summary.seconds,
        pairs_per_s=(references - 3 * actors + 1) * k / (last - first),
        ideal=ideal,
        driver=driver,
        machine=machine,
    )


def _link_copies(groups: Sequence[Group], folder: Path, references: int) -> list[Group]:
    """Give the files of some groups as many names as there are to be references."""
    copies = []
    for number in range(references):
        group, copy = groups[number % len(groups)], folder / f"images-{number:05}"
        copy.mkdir(parents=True)
        names = [copy / path.name for path in (group.reference, *group.distorted)]
        for name, path in zip(names, (group.reference, *group.distorted), strict=True):
            os.link(path, name)
        copies.append(Group(names[0], tuple(names[1:])))
    return copies
