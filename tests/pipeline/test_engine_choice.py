"""Which engine a job with `--engine auto` takes."""

import pytest
import torch

from roi_ray.errors import UsageError
from roi_ray.pipeline.options import Options
from roi_ray.pipeline.score_engine import (
    LOCAL_PAIRS,
    LOCAL_PAIRS_ON_FEW_CPUS,
    find_largest_local_job,
    resolve_engine,
)


def resolve(rows: int = 4, output: str = "/nowhere", **options: object) -> str:
    return resolve_engine(Options(**options), rows, output).engine


def test_auto_takes_the_local_engine_for_a_few_pairs_on_one_device(without_ray) -> None:
    largest = find_largest_local_job("auto")
    assert resolve() == resolve(largest) == "local"
    assert resolve(largest + 1) == "ray"
    assert resolve(actors=1) == resolve(gpus_per_actor=0.5) == "ray"


@pytest.mark.parametrize(
    ("cpus", "has_gpu", "device", "largest"),
    [
        (2, False, "auto", LOCAL_PAIRS_ON_FEW_CPUS),
        (2, True, "cpu", LOCAL_PAIRS_ON_FEW_CPUS),
        (2, True, "auto", LOCAL_PAIRS),
        (4, False, "cpu", LOCAL_PAIRS),
    ],
)
def test_local_engine_takes_larger_jobs_on_few_cpus_without_a_gpu(
    monkeypatch, cpus, has_gpu, device, largest
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: cpus)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: has_gpu)
    assert find_largest_local_job(device) == largest


def test_auto_takes_ray_where_a_cluster_is_at_hand(without_ray, monkeypatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    assert resolve() == "ray"
    assert resolve(engine="local") == "local"
    monkeypatch.setenv("RAY_ADDRESS", "local")  # Ray's word for a Ray on this machine alone
    assert resolve() == "local"


def test_auto_takes_the_ray_that_the_process_is_connected_to(ray_cluster, monkeypatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert resolve() == "ray"


def test_auto_takes_ray_for_several_gpus(without_ray, monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert resolve() == "ray"
    assert resolve(device="cpu") == "local"


def test_auto_takes_ray_where_a_killed_job_left_its_lock(without_ray, tmp_path) -> None:
    lock = tmp_path / "scores" / "_run" / "lock.json"
    lock.parent.mkdir(parents=True)
    assert resolve(output=str(tmp_path / "scores")) == "local"
    lock.touch()
    assert resolve(output=str(tmp_path / "scores")) == "ray"


def test_local_engine_refuses_options_about_processes_of_ray() -> None:
    for options in ({"actors": 2}, {"gpus_per_actor": 0.5}):
        with pytest.raises(UsageError, match="about processes of Ray: leave them out, or use"):
            resolve(engine="local", **options)
