"""Progress of a job on standard error: a bar in a terminal, plain lines in a log."""

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
    """Display of pairs done, pairs per second and the time left.

    Args:
        total: number of pairs of the whole job.
    """

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = self._skipped = 0
        self._failed = 0
        self._start = self._printed_at = time.monotonic()
        self._printed_done = -1
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
        """Count pairs that an earlier run finished; they do not count towards the speed."""
        self._done += pairs
        self._skipped += pairs
        self._printed_done = self._done
        if self._bar is not None:
            self._bar.reset(self._task, completed=self._done)

    def advance(self, pairs: int, failed: int) -> None:
        """Count finished pairs.

        Args:
            pairs: number of pairs, failed ones included.
            failed: number of failed pairs among them.
        """
        self._done += pairs
        self._failed += failed
        if self._bar is not None:
            self._bar.update(self._task, advance=pairs)
        elif time.monotonic() - self._printed_at >= _SECONDS_BETWEEN_LINES:
            self._print_line()

    def _print_line(self) -> None:
        self._printed_at, self._printed_done = time.monotonic(), self._done
        speed = (self._done - self._skipped) / max(self._printed_at - self._start, 1e-9)
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
        elif self._printed_done != self._done:
            self._print_line()
        if kind is not None and issubclass(kind, KeyboardInterrupt | SystemExit):
            # Control-C, or SIGTERM, which commands and Ray turn into a SystemExit
            text = "stopped: finished shards are kept; the same command resumes the run"
            print(text, file=sys.stderr, flush=True)


class _Speed(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text("- pairs/s" if task.speed is None else f"{task.speed:.1f} pairs/s")


def format_duration(seconds: float) -> str:
    """Format seconds as H:MM:SS."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"
