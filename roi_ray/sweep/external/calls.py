"""Call the command lines of a codec: each in a folder of its own, with what its table passes on."""

import errno
import hashlib
import os
import platform
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from roi_ray.errors import CodecError
from roi_ray.sweep.external.commands import Command, find_program
from roi_ray.sweep.external.failures import describe_disk, describe_end, show_command, show_output
from roi_ray.sweep.external.files import read_output, working_folder, write_input
from roi_ray.sweep.external.run import LauncherDied, Outcome, run_command
from roi_ray.sweep.external.table import ExternalTable

_ADVICE_OF_START = {
    errno.ENOENT: "; the interpreter that its first line names does not exist",
    errno.ENOEXEC: f"; it is no program for this machine ({platform.machine()}), or a script "
    "without an interpreter in its first line",
}
_NUMBER = re.compile(r"\d+\.\d+")
_VERSION_CHARACTERS = 200


class Result(NamedTuple):
    """The file that a command wrote, and how the command ended."""

    data: bytes
    outcome: Outcome


@dataclass(frozen=True)
class Caller:
    """Calls the commands of a codec.

    Attributes:
        label: the codec's label, for advice about its table.
        table: how commands are run.
    """

    label: str
    table: ExternalTable

    def call(self, command: Command, data: bytes, source: str, target: str) -> Result:
        """Run a command on a file, and read the file that it writes.

        Args:
            command: program and arguments.
            data: the content of its input.
            source: name of its input.
            target: name of its output.

        Raises:
            CodecError: the command failed, or wrote no plain file with content.
        """
        with working_folder() as (folder, descriptor):
            write_input(folder, source, data)
            outcome = self.run(command, folder)
            try:
                output = read_output(descriptor, target, source, self.table.limits.file_bytes)
            except CodecError as error:
                text = f"{error}{show_output(outcome)}{describe_disk(folder)}"
                raise self.error(command, text) from None
            if disk := describe_disk(folder):
                raise self.error(command, f"may not have written all of {target}{disk}")
        return Result(output, outcome)

    def run(self, command: Command, folder: Path) -> Outcome:
        """Run a command that should end well.

        Raises:
            CodecError: it cannot be started, or it failed.
        """
        environment = self.environment(folder)
        limits = self.table.limits
        program = self.find(command, environment["PATH"])
        try:
            outcome = run_command(program, command, folder, environment, limits)
        except LauncherDied:
            raise self.error(
                command,
                "was ended, because the process that watched it was killed (so the system ends a "
                "process when memory runs out)",
            ) from None
        except OSError as error:
            advice = _ADVICE_OF_START.get(error.errno or 0, "")
            what = f"could not be started: {error.strerror or error}: {program}{advice}"
            raise self.error(command, what) from error
        if text := describe_end(outcome, limits, self.label):
            raise self.error(command, text + describe_disk(folder))
        return outcome

    def find(self, command: Command, path: str) -> str:
        """Find the program of a command in the folders of a PATH.

        Raises:
            CodecError: it is not there, or cannot be executed.
        """
        try:
            return find_program(command[0], path)
        except PermissionError as error:
            raise self.error(
                command, f"could not be started: {error} is not executable (chmod +x)"
            ) from None
        except FileNotFoundError:
            place = "there is no such file" if command[0].startswith("/") else f"PATH is {path}"
            raise self.error(
                command,
                f"could not be started: {command[0]} was not found on {platform.node()} ({place}); "
                "install it, or write its whole path; if only some nodes of the Ray cluster have "
                f"it, name their custom resource as `resource` of [codecs.{self.label}]",
            ) from None

    def environment(self, folder: Path) -> dict[str, str]:
        """Return the environment of a command: what it needs, and what the table passes on."""
        passed = {
            name: os.environ[name] for name in self.table.pass_environment if name in os.environ
        }
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "LC_ALL": "C",
            "HOME": str(folder),
            "TMPDIR": str(folder),
            **passed,
            **dict(self.table.environment),
        }

    def error(self, command: Command, what: str) -> CodecError:
        """Make an error that names the command."""
        return CodecError(f"{show_command(command)} {what}")


@lru_cache(maxsize=256)
def read_version(caller: Caller) -> str:
    """Read the version of a codec's encoder, once per process."""
    command = caller.table.version
    name = caller.table.encode[0].rpartition("/")[2]
    with working_folder() as (folder, _):
        path = caller.environment(folder)["PATH"]
        program = caller.find(caller.table.encode, path)
        if command is None:
            with open(program, "rb") as stream:
                return f"{name} (SHA-256 {hashlib.file_digest(stream, 'sha256').hexdigest()[:16]})"
        outcome = caller.run(command, folder)
    text = (outcome.stdout or outcome.stderr).decode("utf-8", "replace")
    lines = [" ".join(line.split()) for line in text.splitlines() if line.strip()]
    if not lines:
        raise caller.error(command, "printed no version; remove `version`, or correct it")
    line = next((line for line in lines if _NUMBER.search(line)), lines[0])[:_VERSION_CHARACTERS]
    return line if name.lower() in line.lower() else f"{name}: {line}"
