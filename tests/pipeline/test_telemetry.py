"""What is measured where there is no Ray, and by whom; its way to Prometheus is in test_run.py."""

import subprocess
import sys

import pytest

from roi_ray.memory import resident
from roi_ray.pipeline import telemetry


def test_without_ray_nothing_is_measured_and_ray_is_not_loaded() -> None:
    code = (
        "import sys\n"
        "from roi_ray.pipeline import telemetry\n"
        "with telemetry.timed('read'): pass\n"
        "telemetry.pairs([None, 'E: 1'])\n"
        "telemetry.memory(1)\n"
        "sys.exit('ray' in sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_what_fails_is_measured_and_fails(ray_cluster, monkeypatch) -> None:
    seen = []

    class Instrument:
        def inc(self, value, tags=None) -> None:
            seen.append((value, tags))

        observe = inc

    monkeypatch.setattr(
        telemetry, "_instruments", lambda: dict.fromkeys(("seconds", "busy"), Instrument())
    )
    with pytest.raises(OSError, match="gone"), telemetry.timed("read"):
        raise OSError("gone")
    assert [tags for _, tags in seen] == [{"stage": "read"}] * 2
    assert all(value > 0 for value, _ in seen)


def test_resident_memory_is_this_process() -> None:
    before = resident()
    block = bytearray(64 << 20)
    assert resident() - before > 32 << 20
    assert len(block) > 0
