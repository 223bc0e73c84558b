"""End a service without the loss of a request that it has accepted."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

from roi_ray.runtime.logs import LOGGER, last_line

if TYPE_CHECKING:
    from ray.serve.handle import DeploymentHandle

_POLL_SECONDS = 0.2
_QUIET_SECONDS = 1.0
"""How long no request must be in progress: a server may be sending the last answers."""
_BROADCAST_SECONDS = 5.0


class StopSignals:
    """SIGTERM and SIGINT: the first one asks the service to end, the second one to end at once.

    Attributes:
        count: signals that have come.
        number: number of the last one; 0 if none has come.
    """

    def __init__(self) -> None:
        self.count, self.number = 0, 0
        self._event = threading.Event()

    def receive(self, number: int, _frame: FrameType | None) -> None:
        """Count a signal, as a handler."""
        self.count, self.number = self.count + 1, number
        self._event.set()

    def wait(self, seconds: float) -> bool:
        """Wait until the next signal comes, or the time is over; return whether one came."""
        has_come = self._event.wait(seconds)
        if has_come:
            self._event.clear()
        return has_come


@contextmanager
def catch_signals() -> Iterator[StopSignals]:
    """Count SIGTERM and SIGINT instead of ending the process.

    Ray replaces the handler of SIGTERM when it starts, so call this afterwards.
    """
    signals = StopSignals()
    numbers = (signal.SIGTERM, signal.SIGINT)
    previous = [signal.signal(number, signals.receive) for number in numbers]
    try:
        yield signals
    finally:
        for number, handler in zip(numbers, previous, strict=True):
            signal.signal(number, handler)


def drain(handle: "DeploymentHandle", seconds: float, signals: StopSignals) -> int:
    """Refuse new requests, and wait until those in progress are answered.

    Args:
        handle: the deployment that talks HTTP; it has the methods `close` and `count_requests`.
        seconds: longest time to wait.
        signals: a second signal ends the wait.

    Returns:
        requests that are still in progress.
    """
    from ray.exceptions import RayError
    from ray.serve.exceptions import RayServeException

    end = time.monotonic() + seconds
    left, quiet_since, is_warned = 0, None, False
    while True:
        now = time.monotonic()
        try:
            # Again each time: a process that has just replaced another one is open.
            _call_all(handle, "close")
            left = sum(_call_all(handle, "count_requests"))
        except (RayError, RayServeException, RuntimeError, TimeoutError) as error:
            if not is_warned:
                LOGGER.warning(
                    "a process of the service does not answer: %s", last_line(str(error))
                )
            left, is_warned = max(left, 1), True
        if left:
            quiet_since = None
        elif quiet_since is None:
            quiet_since = now
        elif now - quiet_since >= _QUIET_SECONDS:
            return 0
        if now > end or signals.count > 1:
            return left
        signals.wait(_POLL_SECONDS)


def _call_all(handle: "DeploymentHandle", method: str) -> list[int]:
    """Call a method of each process of a deployment."""
    results: list[int] = handle.broadcast(method).results(timeout_s=_BROADCAST_SECONDS)
    return results
