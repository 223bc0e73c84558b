"""A service as a process of its own, and the memory of its processes."""

import sys

import pytest

from roi_ray.bench.service.server import MemorySampler, Server, summarise_memory
from roi_ray.errors import RoiRayError

ANNOUNCE = "print('serving at http://127.0.0.1:8123 - try it', flush=True);"


def test_server_runs_as_long_as_the_context() -> None:
    program = f"import signal; {ANNOUNCE} signal.pause()"
    with Server([sys.executable, "-c", program]) as server:
        assert server.url == "http://127.0.0.1:8123"
        with MemorySampler(server.pid) as sampler:
            assert sampler.sampled.wait(30)
        (memory,) = sampler.summarise()
        assert memory.name == "roi-ray serve"
        assert memory.end_mib > 1
    assert server.exit_code is not None


def test_server_that_does_not_start_is_an_error_with_its_message() -> None:
    with pytest.raises(RoiRayError, match="the service did not start: no weights"):
        Server([sys.executable, "-c", "raise SystemExit('no weights')"])


def test_slope_is_that_of_the_second_half() -> None:
    grows = [(float(second), 100.0 + 5 * min(second, 60)) for second in range(120)]
    flat = summarise_memory("Api", grows)
    assert flat.slope_mib_per_minute == pytest.approx(0, abs=1e-6)
    assert (flat.start_mib, flat.end_mib) == (127.5, 400.0)
    steady = summarise_memory("Api", [(float(second), second / 2) for second in range(120)])
    assert steady.slope_mib_per_minute == pytest.approx(30)
    assert summarise_memory("Api", [(0.0, 7.0)]).slope_mib_per_minute == 0
