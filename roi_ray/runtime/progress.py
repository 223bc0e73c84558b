"""Progress of a job: one bar in a terminal, plain lines in a log."""

import sys
import time
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

_SECONDS_BETWEEN_LINES = 10.0


class ProgressReporter:
    """Pairs done, pairs a second, and time left, on standard error.

    Args:
        total: pairs of the whole job.
    """

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = self._before = 0
        self._failed = 0
        self._started = self._printed = time.monotonic()
        self._shown = -1
        self._bar: Progress | None = None
        console = Console(stderr=True)
        if console.is_terminal:
            self._bar = Progress(
                TextColumn("scoring"),
                BarColumn(),
                MofNCompleteColumn(),
                _Speed(),
                TimeRemainingColumn(),
                console=console,
            )
            self._task = self._bar.add_task("scoring", total=total)

    def skip(self, pairs: int) -> None:
        """Count pairs that an earlier run left done; they do not count for the speed."""
        self._done += pairs
        self._before += pairs
        self._shown = self._done
        if self._bar is not None:
            self._bar.reset(self._task, completed=self._done)

    def advance(self, pairs: int, failed: int) -> None:
        """Count pairs as done."""
        self._done += pairs
        self._failed += failed
        if self._bar is not None:
            self._bar.update(self._task, advance=pairs)
        elif time.monotonic() - self._printed >= _SECONDS_BETWEEN_LINES:
            self._line()

    def _line(self) -> None:
        self._printed, self._shown = time.monotonic(), self._done
        speed = (self._done - self._before) / max(self._printed - self._started, 1e-9)
        text = f"{self._done}/{self._total} pairs, {speed:.1f} pairs/s"
        if speed > 0:
            text += f", {format_duration((self._total - self._done) / speed)} left"
        if self._failed:
            text += f", {self._failed} failed"
        print(text, file=sys.stderr, flush=True)

    def __enter__(self) -> "ProgressReporter":
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
        elif self._shown != self._done:
            self._line()
        if kind is not None and issubclass(kind, KeyboardInterrupt | SystemExit):
            # Control-C, or the SIGTERM of `ray job stop`, which Ray's driver turns into an exit.
            text = "stopped: what is finished stays, and the same command goes on from there"
            print(text, file=sys.stderr, flush=True)


class _Speed(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text("- pairs/s" if task.speed is None else f"{task.speed:.1f} pairs/s")


def format_duration(seconds: float) -> str:
    """Seconds as hours, minutes and seconds."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"
