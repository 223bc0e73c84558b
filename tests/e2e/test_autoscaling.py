"""A job on a cluster that starts without worker nodes."""

from pathlib import Path

import pytest

from tests.conftest import Photos, make_sweep_of
from tests.e2e.conftest import run_script

pytestmark = [pytest.mark.e2e, pytest.mark.long]


def test_job_requests_cpu_and_gpu_nodes_and_leaves_the_head_idle(
    tmp_path: Path, photos: Photos
) -> None:
    manifest = make_sweep_of({name: photos[name] for name in ("coffee", "rocket")}, tmp_path)
    result = run_script("autoscaling.py", manifest, tmp_path / "scores", timeout=900)
    cpu, half_a_gpu = [["CPU", 1.0]], [["CPU", 1.0], ["GPU", 0.5]]
    assert result["requested"] == [[cpu, half_a_gpu], [half_a_gpu]]
    assert result["scored"] == 12
    assert "cpu" in result["decoded_on"]
    assert "head" not in result["decoded_on"]
