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
    """Display of rows done, rows per second and the time left.

    Args:
        total: number of rows of the whole job.
        unit: what the rows are.
        activity: what is done with them.
    """

    def __init__(self, total: int, unit: str = "pairs", activity: str = "scoring") -> None:
        self._total, self._unit = total, unit
        self._done = self._skipped = 0
        self._failed = 0
        self._start = self._printed_at = time.monotonic()
        self._printed_done = -1
        self._bar: Progress | None = None
        console = Console(stderr=True)
        if console.is_terminal:
            self._bar = Progress(
                TextColumn(activity),
                BarColumn(),
                MofNCompleteColumn(),
                _Speed(unit),
                TimeRemainingColumn(),
                console=console,
            )
            self._task = self._bar.add_task(activity, total=total)

    def skip(self, rows: int) -> None:
        """Count rows that an earlier run finished; they do not count towards the speed."""
        self._done += rows
        self._skipped += rows
        self._printed_done = self._done
        if self._bar is not None:
            self._bar.reset(self._task, completed=self._done)

    def advance(self, rows: int, failed: int) -> None:
        """Count finished rows.

        Args:
            rows: number of rows, failed ones included.
            failed: number of failed rows among them.
        """
        self._done += rows
        self._failed += failed
        if self._bar is not None:
            self._bar.update(self._task, advance=rows)
        elif time.monotonic() - self._printed_at >= _SECONDS_BETWEEN_LINES:
            self._print_line()

    def _print_line(self) -> None:
        self._printed_at, self._printed_done = time.monotonic(), self._done
        speed = (self._done - self._skipped) / max(self._printed_at - self._start, 1e-9)
        text = f"{self._done}/{self._total} {self._unit}, {speed:.1f} {self._unit}/s"
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
    def __init__(self, unit: str) -> None:
        super().__init__()
        self._unit = unit

    def render(self, task: Task) -> Text:
        speed = "-" if task.speed is None else f"{task.speed:.1f}"
        return Text(f"{speed} {self._unit}/s")


def format_duration(seconds: float) -> str:
    """Format seconds as H:MM:SS."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"
