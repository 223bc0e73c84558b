"""Sample how much processor time this process and the whole machine use."""

import os
import threading
import time
from pathlib import Path

_SAMPLE_SECONDS = 0.25


class UseSampler(threading.Thread):
    """Thread that samples the processor time of this process and of the whole machine."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._samples: list[tuple[float, float, float]] = []
        self._finished = threading.Event()

    def run(self) -> None:
        """Take samples until the context is closed."""
        while not self._finished.wait(_SAMPLE_SECONDS):
            self._samples.append((time.time(), time.process_time(), _read_busy_seconds()))

    def shares(self, first: float, last: float) -> tuple[float, float]:
        """Compute how busy the processor was.

        Args:
            first: start of the period, seconds since 1970.
            last: its end.

        Returns:
            the share of one core that this process used, and the share of all cores that all
            processes used; 0 if fewer than two samples are in the period.
        """
        inside = [sample for sample in self._samples if first <= sample[0] <= last]
        if len(inside) < 2:
            return 0.0, 0.0
        seconds, driver, busy = (inside[-1][i] - inside[0][i] for i in range(3))
        return driver / seconds, busy / seconds / (os.cpu_count() or 1)

    def __enter__(self) -> "UseSampler":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._finished.set()
        self.join()


def _read_busy_seconds() -> float:
    """Read how long the cores of this machine have worked; 0 on systems without `/proc`."""
    try:
        line = Path("/proc/stat").read_text().partition("\n")[0]
    except OSError:
        return 0.0
    user, nice, system, _, _, irq, soft_irq, *_ = map(int, line.split()[1:])
    return (user + nice + system + irq + soft_irq) / os.sysconf("SC_CLK_TCK")
