"""Exit codes, and how a command ends on an error."""

import errno
import io
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import ParamSpec

import typer

from roi_ray.errors import RoiRayError, UsageError
from roi_ray.runtime.logs import escape_line

EXIT_OFF = 1
"""Scores differ from the numbers computed anew."""
EXIT_UNUSABLE = 2
"""Arguments or inputs cannot be used; click exits with the same code on a wrong option."""
EXIT_TOO_MANY_FAILED = 3
"""The output is complete, but too many of its rows have an error."""
EXIT_INCOMPLETE = 4
"""Rows are missing, pairs could not be verified, or requests were cut off."""
EXIT_INTERRUPTED = 130
"""Control-C: 128 + SIGINT, as shells report it."""
EXIT_TERMINATED = 143
"""128 + SIGTERM, as shells report it."""

_SAME_SECONDS = 1.0
"""Seconds within which a second SIGTERM is the first one, passed on by another process."""
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What the system says where a disk is full."""

Arguments = ParamSpec("Arguments")


def exit_with_message(main: Callable[Arguments, None]) -> Callable[Arguments, None]:
    """Decorate a command: a `RoiRayError` becomes one line on standard error and exit code 2.

    So does a full disk behind standard output. Control-C ends the command with exit code 130 and no
    traceback, SIGTERM with 143. Any other exception is a defect and keeps its traceback.
    """

    @wraps(main)
    def run_main(*args: Arguments.args, **kwargs: Arguments.kwargs) -> None:
        for stream in (sys.stdout, sys.stderr):
            # An ASCII terminal shows a question mark for a character that it does not have.
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="replace")
        try:
            _check_current_folder()
            with _exit_on_sigterm():
                main(*args, **kwargs)
        except RoiRayError as error:
            text = " ".join(escape_line(line.strip()) for line in str(error).splitlines())
            print(f"error: {text}", file=sys.stderr)
            raise typer.Exit(EXIT_UNUSABLE) from error
        except OSError as error:
            if error.errno not in _FULL or error.filename is not None:
                raise
            # Python writes what is left when it ends, which would fail once more.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            print(f"error: cannot write to standard output: {error.strerror}", file=sys.stderr)
            raise typer.Exit(EXIT_UNUSABLE) from error
        except KeyboardInterrupt as error:
            raise typer.Exit(EXIT_INTERRUPTED) from error

    return run_main


def exit_if_too_many_failed(
    failed: int, rows: int, fail_above: float, what: str = "of the rows failed"
) -> None:
    """End a command with exit code 3 if a larger share of its rows than allowed has an error.

    Args:
        failed: number of rows with an error.
        rows: number of all rows.
        fail_above: the share that is allowed, 0..1.
        what: what is wrong with the rows, for the message.
    """
    if failed / rows > fail_above:
        print(f"error: more than --fail-above {fail_above} {what}", file=sys.stderr)
        raise typer.Exit(EXIT_TOO_MANY_FAILED)


def _check_current_folder() -> None:
    """Check that the current folder exists; without it, torch's libraries end the process."""
    try:
        os.getcwd()
    except OSError as error:
        raise UsageError("the current folder does not exist any more; cd to another one") from error


@contextmanager
def _exit_on_sigterm() -> Iterator[None]:
    """Raise SystemExit on SIGTERM, so that a job releases its lock; the default ends the process.

    Where this process waits for Ray, Ray makes it a SystemExit with another code. `uv run` passes
    on a signal that its process group gets as well: a second one at once changes nothing.
    """
    if threading.current_thread() is not threading.main_thread():  # it cannot handle signals
        yield
        return
    terminated: float | None = None

    def end(*_: object) -> None:
        nonlocal terminated
        before, terminated = terminated, time.monotonic()
        if before is None or terminated - before > _SAME_SECONDS:
            sys.exit(EXIT_TERMINATED)

    previous = signal.signal(signal.SIGTERM, end)
    try:
        yield
    except SystemExit as error:
        if terminated is not None:
            raise SystemExit(EXIT_TERMINATED) from error
        raise
    finally:
        signal.signal(signal.SIGTERM, previous)
