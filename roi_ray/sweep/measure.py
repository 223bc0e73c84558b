"""Measure around a codec's calls: the processor, and what other work the machine did meanwhile."""

import os
import platform
import threading
import time
from collections import deque
from functools import cache
from pathlib import Path
from typing import NamedTuple

_STAT = Path("/proc/stat")
_CPUINFO = Path("/proc/cpuinfo")

# Places in the first line of /proc/stat (proc(5)): user, nice, system, idle, iowait, irq, softirq,
# steal. `user` includes guests, which follow.
_COUNTERS = 8
_IDLE = (3, 4)

MIN_WINDOW = 0.2
"""Shortest window in seconds: the counters advance in steps of 10 ms per CPU, so that one busy core
is then known to about 5 %."""

_MAX_REACH = 10.0
"""How far a window may reach back before a cell, in seconds: work of long ago says nothing."""


class _Reading(NamedTuple):
    """The state of the counters.

    Attributes:
        at: monotonic time in seconds.
        busy: seconds that all CPUs of the machine have worked.
        idle: seconds that they have not.
        own: seconds that the work of this meter's thread has taken.
    """

    at: float
    busy: float
    idle: float
    own: float


class LoadMeter:
    """Meter of other work on this machine, used by one thread.

    Other work is everything but the thread's own: other processes, and other threads of this one.
    """

    def __init__(self) -> None:
        self._readings = deque[_Reading]()
        self._elsewhere = 0.0

    def start(self) -> float:
        """Begin to measure a piece of work; return its beginning."""
        self._read()
        return time.monotonic()

    def add_own_seconds(self, seconds: float) -> None:
        """Count work for this thread that was done by child processes or other threads."""
        self._elsewhere += seconds

    def forget(self) -> None:
        """Forget what was read, because work was done that is not counted."""
        self._readings.clear()

    def stop(self, began: float) -> float | None:
        """Return how many cores were busy with other work since a piece of work began.

        The window reaches back before the beginning where the work was short.

        Args:
            began: what `start` returned.

        Returns:
            cores, 0 or more, to two decimals; None if nothing is known about a long enough time,
            or the system does not tell.
        """
        end = self._read()
        if end is None:
            return None
        first = min(began, end.at - MIN_WINDOW)
        before = [r for r in self._readings if began - _MAX_REACH <= r.at <= first]
        if not before:
            return None
        start = before[-1]
        seconds = end.at - start.at
        busy, idle = end.busy - start.busy, end.idle - start.idle
        # Sandboxes have counters that stand still, or that are not those of the machine.
        if busy + idle < 0.5 * seconds:
            return None
        return round(max(0.0, busy - (end.own - start.own)) / seconds, 2)

    def _read(self) -> _Reading | None:
        counters = _read_counters()
        if counters is None:
            return None
        reading = _Reading(time.monotonic(), *counters, time.thread_time() + self._elsewhere)
        self._readings.append(reading)
        # The oldest one that a window may begin with stays.
        while len(self._readings) > 1 and self._readings[1].at < reading.at - _MAX_REACH:
            self._readings.popleft()
        return reading


_PER_THREAD = threading.local()


def find_load_meter() -> LoadMeter:
    """Return the meter of this thread, which remembers what it has read for earlier images."""
    if not hasattr(_PER_THREAD, "meter"):
        _PER_THREAD.meter = LoadMeter()
    meter: LoadMeter = _PER_THREAD.meter
    return meter


@cache
def find_processor() -> str:
    """Return the name of this machine's processor, such as `AMD EPYC 7763 64-Core Processor`."""
    fields: dict[str, str] = {}
    for line in _read_lines(_CPUINFO):
        key, _, value = line.partition(":")
        fields.setdefault(key.strip(), value.strip())
    machine = platform.machine()
    if name := fields.get("model name") or fields.get("cpu model") or fields.get("Model"):
        return name
    if part := fields.get("CPU part"):  # ARM servers name their makers by number
        return f"{machine} implementer {fields.get('CPU implementer', '?')} part {part}"
    return platform.processor() or machine


def _read_counters() -> tuple[float, float] | None:
    """Return the busy and the idle seconds of all CPUs; None if the system does not tell."""
    lines = _read_lines(_STAT)
    if not lines or not lines[0].startswith("cpu "):
        return None
    ticks = [int(count) for count in lines[0].split()[1 : 1 + _COUNTERS]]
    idle = sum(ticks[place] for place in _IDLE)
    per_second = os.sysconf("SC_CLK_TCK")
    return (sum(ticks) - idle) / per_second, idle / per_second


def _read_lines(path: Path) -> list[str]:
    try:
        return path.read_text(errors="replace").splitlines()
    except OSError:
        return []
