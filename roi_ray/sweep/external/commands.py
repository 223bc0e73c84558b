"""Command lines with placeholders: check them, fill them in, and find their programs."""

import os
import re
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path

from roi_ray.errors import UsageError
from roi_ray.io.nearby import suggest

Command = tuple[str, ...]

_EXAMPLE = '["cjxl", "{in}", "{out}", "-q", "{quality}"]'
_PLACEHOLDER = re.compile(r"\{([A-Za-z_]\w*)\}")


def check_command(command: Command, where: str, placeholders: Collection[str]) -> None:
    """Check the program and the placeholders of a command line.

    Args:
        command: program and arguments.
        where: what it is, for messages.
        placeholders: names of which each must occur, in braces, after the program.

    Raises:
        UsageError: the program is empty or a relative path, or placeholders are missing or unknown.
    """
    if not command or not command[0].strip():
        raise UsageError(f"{where} names no program; write it as a list, such as {_EXAMPLE}")
    program = command[0]
    if "/" in program and not program.startswith("/"):
        raise UsageError(
            f"{where}: {program!r} is a relative path, and commands run in a folder of their own; "
            f"write {os.path.abspath(program)!r}, or a name that is on the PATH"
        )
    if any("\0" in argument for argument in command):
        raise UsageError(f"{where} contains a null character, which no command line can")
    used = [name for argument in command[1:] for name in _PLACEHOLDER.findall(argument)]
    for name in [*_PLACEHOLDER.findall(program), *used]:
        if name not in placeholders:
            hint = suggest(name, placeholders)
            raise UsageError(
                f"{where} has an unknown placeholder {{{name}}}{hint}; {_list(placeholders)}"
            )
    for name in placeholders:
        if name not in used:
            shown = " ".join(command)
            raise UsageError(f"{where} lacks {{{name}}}: `{shown}`; {_list(placeholders)}")


def _list(placeholders: Collection[str]) -> str:
    if not placeholders:
        return "it has none"
    return "needed are " + ", ".join(f"{{{name}}}" for name in placeholders)


def fill_in(command: Command, values: Mapping[str, str]) -> Command:
    """Replace the placeholders of a command line.

    Args:
        command: program and arguments.
        values: text by placeholder, without braces.
    """
    return tuple(_PLACEHOLDER.sub(lambda match: values[match[1]], part) for part in command)


def format_quality(quality: float) -> str:
    """Write a quality as encoders read it: `50` and `0.1`, without an exponent."""
    text = f"{quality:.9f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def find_program(name: str, path: str) -> str:
    """Find a program.

    Args:
        name: absolute path, or name of a file in one of the folders.
        path: folders, separated by colons.

    Returns:
        its absolute path.

    Raises:
        FileNotFoundError: there is no such file.
        PermissionError: there is one, but it cannot be executed.
    """
    if found := shutil.which(name, path=path):
        return os.path.abspath(found)
    for folder in [""] if name.startswith("/") else path.split(":"):
        candidate = Path(folder or "/") / name
        if candidate.is_file():
            raise PermissionError(str(candidate))
    raise FileNotFoundError(name)
