"""What the commands share: exit codes, and how a command ends on an error."""

import io
import sys
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

import typer

from roi_ray.errors import RoiRayError

EXIT_UNUSABLE = 2
EXIT_TOO_MANY_FAILED = 3
EXIT_INCOMPLETE = 4

Arguments = ParamSpec("Arguments")


def exit_with_message(main: Callable[Arguments, None]) -> Callable[Arguments, None]:
    """A command that ends on a `RoiRayError` with a line on standard error and exit code 2."""

    @wraps(main)
    def told(*args: Arguments.args, **kwargs: Arguments.kwargs) -> None:
        for stream in (sys.stdout, sys.stderr):
            # A terminal of few characters gets question marks for the others.
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="replace")
        try:
            main(*args, **kwargs)
        except RoiRayError as error:
            print(f"error: {error}", file=sys.stderr)
            raise typer.Exit(EXIT_UNUSABLE) from error

    return told
