"""Simulation of a job with more actors than there are cores."""

import pytest

from roi_ray.bench.scaling import Scaling, ScalingOptions, measure_scaling
from roi_ray.bench.waiting import ServiceTimes
from roi_ray.report.bench_scaling import build_scaling_table
from roi_ray.sweep import photographs


@pytest.mark.parametrize(
    ("speed", "driver", "machine", "limit"),
    [
        (96, 0.2, 0.3, "nothing"),
        (50, 0.95, 0.99, "driver"),
        (50, 0.5, 0.95, "cores of this machine"),
        (50, 0.5, 0.5, "Ray's messages"),
    ],
)
def test_limit_is_what_the_actors_wait_for(speed, driver, machine, limit) -> None:
    assert Scaling(4, 100, 10, speed, 100, driver, machine).limit == limit


@pytest.mark.long
def test_waiting_actors_score_every_pair(tmp_path) -> None:
    options = ScalingOptions(
        photographs=list(photographs().values()),
        actors=[2],
        times=ServiceTimes(0.1, 0.1),
        size=(64, 64),
        per_reference=3,
        decoded=True,
        seconds=1,
    )
    result = measure_scaling(options, tmp_path)
    (job,) = result.jobs
    assert job.pairs == 3 * len(list(tmp_path.glob("actors-2/scores/*.parquet")))
    assert job.share > 0
    assert build_scaling_table(result).row_count == 1
