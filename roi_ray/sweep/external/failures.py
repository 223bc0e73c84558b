"""What is said of a command that failed: what happened, how it ended, and what to do."""

import os
import shlex
import signal
from collections.abc import Sequence
from pathlib import Path

from roi_ray.runtime.available import format_bytes
from roi_ray.sweep.external.run import Limits, Outcome

_TAIL_CHARACTERS = 500
_COMMAND_CHARACTERS = 300
_MOST_NAMES = 4


def show_command(command: Sequence[str]) -> str:
    """Write a command line for a message."""
    text = shlex.join(command)
    text = text if len(text) <= _COMMAND_CHARACTERS else text[:_COMMAND_CHARACTERS] + "..."
    return f"`{escape(text)}`"


def show_output(outcome: Outcome) -> str:
    """Return the end of what a command printed, of standard error before standard output."""
    for name, tail in (("standard error", outcome.stderr), ("standard output", outcome.stdout)):
        text = tail.decode("utf-8", "backslashreplace").strip()
        if text:
            return f"; its {name} ends: {escape(text)[-_TAIL_CHARACTERS:]}"
    return "; it printed nothing"


def escape(text: str) -> str:
    """Escape line ends and other control characters, as Python does."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def describe_end(outcome: Outcome, limits: Limits, label: str) -> str | None:
    """Say how a command ended, and what to do; None if it ended well."""
    table = f"[codecs.{label}]"
    if outcome.end == "time":
        what = f"took more than {limits.seconds:g} s and was killed; raise `time_limit` of {table}"
        return f"{what}, or let it do less{show_output(outcome)}"
    if outcome.end == "memory":
        limit = format_bytes(limits.memory_bytes or 0)
        what = f"took more than {limit} of memory and was killed; raise `memory_limit` of {table}"
        return f"{what}, or let it do less{show_output(outcome)}"
    if outcome.left:
        return "left a process that could not be ended; look for it on this machine"
    if not outcome.status:
        return None
    what = _describe_status(outcome.status)
    if abs(outcome.status) % 128 == signal.SIGXFSZ:
        advice = f"raise `output_limit` of {table} if the file should be so large"
        what += f" when a file grew to {format_bytes(limits.file_bytes)}"
    else:
        advice = f"run it by hand on the image as PNG or PPM to see why, or correct {table}"
    return f"{what}; {advice}{show_output(outcome)}"


def _describe_status(status: int) -> str:
    """Say what an exit code or a negative signal means."""
    # A shell, and what calls others like one, returns 128 + the signal that ended its program.
    number = -status if status < 0 else status - 128
    name = _name_signal(number)
    if status == -signal.SIGKILL:
        return f"was ended by signal {name} (so the system ends a process when memory runs out)"
    if status < 0:
        return f"was ended by signal {name or number}"
    return f"failed with exit code {status}" + (f" (a signal {name})" if name else "")


def _name_signal(number: int) -> str | None:
    try:
        return signal.Signals(number).name
    except ValueError:
        return None


def describe_disk(folder: Path) -> str:
    """Say that the disk of a folder is full, if it is."""
    try:
        disk = os.statvfs(folder)
    except OSError:
        return ""
    if disk.f_blocks == 0 or disk.f_bavail * disk.f_frsize >= 1 << 16:
        return ""
    return (
        f"; the disk of {folder.parent} is full: free some of it, or set TMPDIR to a folder on "
        "another one"
    )


def list_names(folder: int, but: str) -> str:
    """Name what a command left in its working folder besides its input.

    Args:
        folder: descriptor of the folder.
        but: name of the input.
    """
    try:
        names = sorted(name for name in os.listdir(folder) if name != but)
    except OSError:
        names = []
    if not names:
        return "nothing else either"
    more = ", ..." if len(names) > _MOST_NAMES else ""
    return "but " + ", ".join(escape(name[:80]) for name in names[:_MOST_NAMES]) + more
