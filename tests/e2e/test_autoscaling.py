"""Nodes of the right kind are asked for, and work goes where it belongs."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Photos, make_sweep_of

pytestmark = pytest.mark.e2e


def test_from_no_node_at_all(tmp_path: Path, photos: Photos) -> None:
    manifest = make_sweep_of({name: photos[name] for name in ("coffee", "rocket")}, tmp_path)
    script = Path(__file__).with_name("autoscaling.py")
    done = subprocess.run(
        [sys.executable, str(script), manifest, str(tmp_path / "scores")],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout.splitlines()[-1])
    cpu, half_a_gpu = [["CPU", 1.0]], [["CPU", 1.0], ["GPU", 0.5]]
    assert seen["asked"] == [[cpu], [half_a_gpu]]
    assert seen["scored"] == 12
    assert "cpu" in seen["where"]
    assert "head" not in seen["where"]
