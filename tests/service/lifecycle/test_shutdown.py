import os
import signal
from collections.abc import Iterator, Sequence

import pytest

from roi_ray.service.lifecycle import shutdown
from roi_ray.service.lifecycle.shutdown import StopSignals, catch_signals, drain

pytestmark = pytest.mark.filterwarnings("ignore:Using extra keyword arguments on `Field`")


class Handle:
    """A deployment, as Ray Serve's handle shows it.

    Args:
        rounds: for each time that its processes are asked, the requests in progress of each, or
            what the handle raises; the last one stays.
    """

    def __init__(self, *rounds: Sequence[int] | Exception) -> None:
        self._rounds: Iterator[Sequence[int] | Exception] = iter(rounds)
        self._last = rounds[-1]
        self.calls: list[str] = []

    def broadcast(self, method: str) -> "Handle":
        self.calls.append(method)
        if method == "close":
            self._now = next(self._rounds, self._last)
        return self

    def results(self, timeout_s: float) -> list[int]:
        assert timeout_s > 0
        if isinstance(self._now, Exception):
            raise self._now
        return list(self._now)


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch) -> None:
    monkeypatch.setattr(shutdown, "_POLL_SECONDS", 0.001)
    monkeypatch.setattr(shutdown, "_QUIET_SECONDS", 0.01)


def test_signals_are_counted_and_end_nothing_until_the_context_is_left() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    with catch_signals() as signals:
        os.kill(os.getpid(), signal.SIGTERM)
        assert signals.wait(60)
        assert signals.count == 1
        os.kill(os.getpid(), signal.SIGINT)
        assert signals.wait(60)
        assert signals.count == 2
        assert not signals.wait(0)  # none is left to wait for
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before


def test_all_processes_are_closed_each_time_until_none_has_a_request() -> None:
    handle = Handle([2, 1], [0, 1], [0, 0])
    assert drain(handle, 60, StopSignals()) == 0
    # A process that has just replaced another one is open, and is closed too.
    assert handle.calls[:6] == 3 * ["close", "count_requests"]


@pytest.fixture
def unavailable() -> Exception:
    """What Ray Serve raises while no process of a deployment runs."""
    from ray.serve._private.common import DeploymentID
    from ray.serve.exceptions import DeploymentUnavailableError

    return DeploymentUnavailableError(DeploymentID("Api", "roi-ray"))


@pytest.mark.parametrize("error", [None, TimeoutError(), RuntimeError("two\nlines")])
def test_a_process_that_is_being_replaced_is_waited_for(error, unavailable, caplog) -> None:
    error = error or unavailable
    assert drain(Handle([1], error, error, [1], [0]), 60, StopSignals()) == 0
    (record,) = caplog.records
    assert record.getMessage().startswith("a process of the service does not answer: ")


def test_what_is_left_after_the_time_is_counted(unavailable) -> None:
    assert drain(Handle([2, 3]), 0.05, StopSignals()) == 5
    assert drain(Handle([4], unavailable), 0.05, StopSignals()) == 4
    assert drain(Handle(unavailable), 0.05, StopSignals()) == 1


def test_a_second_signal_ends_the_wait() -> None:
    signals = StopSignals()
    signals.count = 2
    assert drain(Handle([7]), 60, signals) == 7
