"""Nodes of the right kind are asked for, and work goes where it belongs."""

from pathlib import Path

import pytest

from tests.conftest import Photos, make_sweep_of
from tests.e2e.conftest import run_script

pytestmark = [pytest.mark.e2e, pytest.mark.long]


def test_from_no_node_at_all(tmp_path: Path, photos: Photos) -> None:
    manifest = make_sweep_of({name: photos[name] for name in ("coffee", "rocket")}, tmp_path)
    seen = run_script("autoscaling.py", manifest, tmp_path / "scores", timeout=300)
    cpu, half_a_gpu = [["CPU", 1.0]], [["CPU", 1.0], ["GPU", 0.5]]
    assert seen["asked"] == [[cpu, half_a_gpu], [half_a_gpu]]
    assert seen["scored"] == 12
    assert "cpu" in seen["where"]
    assert "head" not in seen["where"]
