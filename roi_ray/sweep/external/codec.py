"""A codec whose encoder and decoder are command lines."""

import errno
import hashlib
import json
import os
import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from roi_ray.errors import CodecError, ImageError, ImageReadError
from roi_ray.imaging.formats import identify
from roi_ray.sweep.codec import Codec, Decoded, Encoded
from roi_ray.sweep.external.commands import Command, fill_in, find_program, format_quality
from roi_ray.sweep.external.failures import describe_disk, describe_end, show_command, show_output
from roi_ray.sweep.external.files import read_output, working_folder, write_input
from roi_ray.sweep.external.run import LauncherDied, Outcome, run_command
from roi_ray.sweep.external.table import ExternalTable, read_table
from roi_ray.sweep.source import SourceImage
from roi_ray.sweep.y4m import read_y4m

_ADVICE_OF_START = {
    errno.ENOENT: "; the interpreter that its first line names does not exist",
    errno.ENOEXEC: f"; it is no program for this machine ({platform.machine()}), or a script "
    "without an interpreter in its first line",
}
_NUMBER = re.compile(r"\d+\.\d+")
_VERSION_CHARACTERS = 120


class _Result(NamedTuple):
    data: bytes
    outcome: Outcome


@dataclass(frozen=True, kw_only=True)
class ExternalCodec(Codec):
    """A codec that runs as commands, each in a working folder of its own.

    Attributes:
        table: the commands, and how to run them.
    """

    table: ExternalTable

    def version(self) -> str:
        """Return what the command `version` prints, or the SHA-256 of the encoder's program.

        Raises:
            CodecError: the program is not available here, or the command failed.
        """
        return _read_version(self)

    def encode(self, image: SourceImage, quality: float) -> Encoded:
        """Encode an image by the command `encode`.

        Raises:
            CodecError: the command failed, wrote no usable file, or took too much.
        """
        table = self.table
        command = fill_in(
            table.encode,
            {
                "in": f"input.{table.input}",
                "out": f"output{self.suffix}",
                "quality": format_quality(quality),
            },
        )
        data = image.file(table.input, table.input_bits)
        result = self._call(command, data, f"input.{table.input}", f"output{self.suffix}")
        if table.decode is None:
            self._check_readable(command, result)
        return Encoded(result.data, result.outcome.seconds, result.outcome.memory)

    def decode(self, data: bytes) -> Decoded:
        """Decode a file by the command `decode`; without one, roi-ray decodes it when it scores.

        Raises:
            CodecError: the command failed, wrote no usable image, or took too much.
        """
        table = self.table
        if table.decode is None:
            return Decoded(None, None)
        source, target = f"input{self.suffix}", f"output.{table.output}"
        command = fill_in(table.decode, {"in": source, "out": target})
        result = self._call(command, data, source, target)
        image = result.data
        try:
            if table.output == "y4m":
                image = SourceImage(pixels := read_y4m(image)).file(
                    "png", 8 * pixels.dtype.itemsize
                )
            elif (name := identify(image)) != table.output.upper():
                raise ImageReadError(f"it is a file of the format {name}")
        except ImageError as error:
            raise self._error(
                command,
                f"wrote {target}, which cannot be read: {error}{show_output(result.outcome)}",
            ) from error
        return Decoded(image, result.outcome.seconds, result.outcome.memory)

    def _check_readable(self, command: Command, result: _Result) -> None:
        try:
            identify(result.data)
        except ImageReadError as error:
            raise self._error(
                command,
                f"wrote a file that roi-ray does not read ({error}); add a command `decode` to "
                f"[codecs.{self.label}]{show_output(result.outcome)}",
            ) from error

    def _call(self, command: Command, data: bytes, source: str, target: str) -> _Result:
        """Run a command on a file, and read the file that it writes."""
        with working_folder(self.label) as (folder, descriptor):
            write_input(folder, source, data, self.label)
            outcome = self._run(command, folder)
            try:
                output = read_output(descriptor, target, source, self.table.limits.file_bytes)
            except CodecError as error:
                text = f"{error}{show_output(outcome)}{describe_disk(folder)}"
                raise self._error(command, text) from None
            if disk := describe_disk(folder):
                raise self._error(command, f"may not have written all of {target}{disk}")
        return _Result(output, outcome)

    def _run(self, command: Command, folder: Path) -> Outcome:
        """Run a command that should end well.

        Raises:
            CodecError: it cannot be started, or it failed.
        """
        environment = self._environment(folder)
        limits = self.table.limits
        program = self._find(command, environment["PATH"])
        try:
            outcome = run_command(program, command, folder, environment, limits)
        except LauncherDied:
            raise self._error(
                command,
                "was ended, because the process that watched it was killed (so the system ends a "
                "process when memory runs out)",
            ) from None
        except OSError as error:
            advice = _ADVICE_OF_START.get(error.errno or 0, "")
            what = f"could not be started: {program}: {error.strerror or error}{advice}"
            raise self._error(command, what) from error
        if text := describe_end(outcome, limits, self.label):
            raise self._error(command, text + describe_disk(folder))
        return outcome

    def _find(self, command: Command, path: str) -> str:
        try:
            return find_program(command[0], path)
        except PermissionError as error:
            raise self._error(
                command, f"could not be started: {error} is not executable (chmod +x)"
            ) from None
        except FileNotFoundError:
            place = "there is no such file" if command[0].startswith("/") else f"PATH is {path}"
            raise self._error(
                command,
                f"could not be started: {command[0]} was not found on {platform.node()} ({place}); "
                "install it, or write its whole path; if only some nodes of the Ray cluster have "
                f"it, name their custom resource as `resource` of [codecs.{self.label}]",
            ) from None

    def _environment(self, folder: Path) -> dict[str, str]:
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

    def _error(self, command: Command, what: str) -> CodecError:
        return CodecError(f"{self.label}: {show_command(command)} {what}")


@lru_cache(maxsize=256)
def _read_version(codec: ExternalCodec) -> str:
    """Read a codec's version, once per process."""
    command = codec.table.version
    name = codec.table.encode[0].rpartition("/")[2]
    with working_folder(codec.label) as (folder, _):
        path = codec._environment(folder)["PATH"]
        program = codec._find(codec.table.encode, path)
        if command is None:
            with open(program, "rb") as stream:
                return f"{name} (SHA-256 {hashlib.file_digest(stream, 'sha256').hexdigest()[:16]})"
        outcome = codec._run(command, folder)
    text = (outcome.stdout or outcome.stderr).decode("utf-8", "replace")
    lines = [" ".join(line.split()) for line in text.splitlines() if line.strip()]
    if not lines:
        raise codec._error(command, "printed no version; remove `version`, or correct it")
    line = next((line for line in lines if _NUMBER.search(line)), lines[0])[:_VERSION_CHARACTERS]
    return line if name.lower() in line.lower() else f"{name}: {line}"


def make_external_codec(label: str, table: Mapping[str, object]) -> ExternalCodec:
    """Make a codec from a table `[codecs.LABEL]` of a sweep's plan.

    Args:
        label: the codec's label.
        table: values by key; see `roi_ray.sweep.external.KEYS`.

    Raises:
        UsageError: the table cannot be used; names the label and the key.

    Examples:
        >>> codec = make_external_codec(
        ...     "jxl",
        ...     {
        ...         "encode": ["cjxl", "{in}", "{out}", "-q", "{quality}"],
        ...         "decode": ["djxl", "{in}", "{out}"],
        ...         "suffix": ".jxl",
        ...     },
        ... )
        >>> codec.suffix, codec.decoded_suffix
        ('.jxl', '.png')
    """
    content = read_table(label, table)
    decoded = {"png": ".png", "ppm": ".ppm", "y4m": ".png"}[content.output]
    return ExternalCodec(
        label=label,
        settings=_describe(content),
        scale=content.scale,
        suffix=content.suffix,
        decoded_suffix=None if content.decode is None else decoded,
        resource=content.resource,
        cpus=content.cpus,
        table=content,
    )


def _describe(table: ExternalTable) -> str:
    """Write what decides a table's results as text; not how long and where it may run."""
    parts: dict[str, object] = {
        "encode": table.encode,
        "input": table.input,
        "input_bits": table.input_bits,
    }
    if table.decode is not None:
        parts |= {"decode": table.decode, "output": table.output}
    if table.environment:
        parts["environment"] = dict(table.environment)
    if table.pass_environment:
        parts["pass_environment"] = table.pass_environment
    return " ".join(f"{key}={json.dumps(value)}" for key, value in parts.items())
