"""The job against the scorer alone; on a real Ray, with a handful of images."""

import pytest

from roi_ray.bench.job import bare, job
from roi_ray.bench.workload import make_groups
from roi_ray.errors import RoiRayError
from roi_ray.settings import Settings
from roi_ray.sweep import photographs


@pytest.fixture(scope="module")
def groups(tmp_path_factory):
    photos = list(photographs().values())
    return make_groups(photos, tmp_path_factory.mktemp("files"), (96, 96), 4, 3)


@pytest.mark.long
def test_the_job_s_rate_is_of_what_it_committed(groups, tmp_path, ray_cluster) -> None:
    rate = job(groups, tmp_path / "job", Settings(), cpus=2)
    assert rate.pairs == 12
    assert rate.seconds > 0
    assert rate.steady > 0


def test_processes_that_die_end_the_measurement(groups) -> None:
    with pytest.raises(RoiRayError, match="a scoring process died"):
        bare(groups, Settings(lpips="nothing"), processes=2, threads=1)  # type: ignore[arg-type]
