"""Benchmarks of a job on a local Ray and of the scorer alone, on a few images."""

import time

import pytest

from roi_ray.bench import job
from roi_ray.bench.job import measure_job, measure_scorer
from roi_ray.bench.workload import make_groups
from roi_ray.errors import RoiRayError
from roi_ray.settings import Settings
from roi_ray.sweep import photographs


@pytest.fixture(scope="module")
def groups(tmp_path_factory):
    photos = list(photographs().values())
    return make_groups(photos, tmp_path_factory.mktemp("files"), (96, 96), 4, 3)


@pytest.mark.long
def test_job_speed_covers_the_committed_pairs(groups, tmp_path) -> None:
    speed = measure_job(groups, tmp_path / "job", Settings(), cpus=2)
    assert speed.pairs == 12
    assert speed.seconds > 0
    assert speed.steady_pairs_per_s > 0


def test_scoring_process_that_dies_fails_the_measurement(groups) -> None:
    with pytest.raises(RoiRayError, match="a process died"):
        measure_scorer(groups, Settings(saliency="/no/such/file.pth"), processes=2, threads=1)


def test_memory_sampler_records_the_largest_actor_and_stops(monkeypatch) -> None:
    monkeypatch.setattr(job, "_SAMPLE_SECONDS", 0.01)
    monkeypatch.setattr(job, "actor_memory_mib", lambda folder: float(folder.name == "1"))
    started = time.time()
    with job._MemorySampler() as sampler:
        time.sleep(0.5)
    assert not sampler.is_alive()
    assert set(sampler.medians_of_tenths(started, time.time())) == {1.0}
