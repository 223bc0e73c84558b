"""The table `[codecs.LABEL]` of a codec that is called by command lines: its keys and checks."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast, get_args

from roi_ray.errors import UsageError
from roi_ray.io.nearby import suggest
from roi_ray.sweep.codec import QualityScale
from roi_ray.sweep.external.commands import Command, check_command
from roi_ray.sweep.external.run import FOLDER_VARIABLE, Limits
from roi_ray.sweep.source import BIT_DEPTHS, InputFormat

OutputFormat = Literal["png", "ppm", "y4m"]

KEYS: Mapping[str, str] = {
    "quality": "the qualities of the sweep",
    "encode": "the encoder's command line, with {in}, {out} and {quality}; needed",
    "suffix": "suffix of the encoded files, such as '.jxl'; needed",
    "decode": "the decoder's command line, with {in} and {out}; without it, roi-ray decodes",
    "version": "command line that prints the version; without it, the program's SHA-256",
    "input": "what the encoder reads: png, ppm or y4m; png",
    "input_bits": "bits per sample of that: 8 or 16; of ppm and y4m also 10 or 12; 8",
    "output": "what the decoder writes: png, ppm or y4m; png",
    "quality_range": "lowest and highest quality; [0, 100]",
    "quality_step": "smallest difference of two qualities; 1",
    "higher_is_better": "whether a higher quality is a better image; true",
    "environment": "environment variables for the commands, with their values",
    "pass_environment": "names of environment variables that are passed on to the commands",
    "time_limit": "seconds that one call may take; 600",
    "output_limit": "bytes of the largest file that a command may write; 1 GiB",
    "memory_limit": "bytes of memory that a command's processes may take together; no limit",
    "cpus": "CPUs that one call uses; 1",
    "resource": "custom resource of the Ray nodes that have the commands; all nodes",
}
"""Every key, and what it means with its default. `quality` is for the plan, and ignored here."""

_SUFFIX = re.compile(r"\.[A-Za-z0-9][A-Za-z0-9._+-]*")
_VARIABLE = re.compile(r"[^=\0]+")


@dataclass(frozen=True)
class ExternalTable:
    """The content of a table, checked. See `KEYS`.

    Attributes:
        encode: with {in}, {out} and {quality}.
        decode: with {in} and {out}; None if roi-ray decodes.
        version: without placeholders; None for the program's SHA-256.
        suffix: suffix of encoded files, with the dot.
        input: format of the encoder's input.
        input_bits: bits per sample of that.
        output: format of the decoder's output.
        environment: names and values of environment variables.
        pass_environment: names of environment variables that are passed on.
        scale: the quality scale.
        limits: limits of each call.
        cpus: CPUs of each call.
        resource: custom resource of nodes; None for all nodes.
    """

    encode: Command
    decode: Command | None
    version: Command | None
    suffix: str
    input: InputFormat
    input_bits: int
    output: OutputFormat
    environment: tuple[tuple[str, str], ...]
    pass_environment: tuple[str, ...]
    scale: QualityScale
    limits: Limits
    cpus: float
    resource: str | None


def read_table(label: str, table: Mapping[str, object]) -> ExternalTable:
    """Check a table `[codecs.LABEL]`.

    Args:
        label: the codec's label.
        table: values by key.

    Raises:
        UsageError: a key is unknown or missing, or a value cannot be used; names the label and the
            key.
    """
    reader = _Reader(label, table)
    input_format = reader.choice("input", get_args(InputFormat))
    decode = reader.command("decode", ("in", "out"))
    output = reader.choice("output", get_args(OutputFormat))
    if "output" in table and decode is None:
        raise reader.error("output", "is for the decoder: add `decode`, or remove it")
    if output == "y4m" and input_format != "y4m":
        raise reader.error(
            "output",
            "is 'y4m', which says nothing of its colour matrix: have the decoder write PNG, or set "
            '`input = "y4m"`, so that both are of the same matrix',
        )
    encode = reader.command("encode", ("in", "out", "quality"))
    if encode is None:
        raise reader.error("encode", "is missing")
    memory = reader.number("memory_limit", None)
    return ExternalTable(
        encode=encode,
        decode=decode,
        version=reader.command("version", ()),
        suffix=reader.suffix(),
        input=cast(InputFormat, input_format),
        input_bits=reader.bits(cast(InputFormat, input_format)),
        output=cast(OutputFormat, output),
        environment=reader.environment(),
        pass_environment=reader.texts("pass_environment"),
        scale=reader.scale(encode),
        limits=Limits(
            seconds=reader.positive("time_limit", 600),
            file_bytes=int(reader.positive("output_limit", 1 << 30)),
            memory_bytes=None if memory is None else int(memory),
        ),
        cpus=reader.positive("cpus", 1),
        resource=reader.text("resource"),
    )


class _Reader:
    """Takes values from a table, of the right type, or raises a UsageError that names the key."""

    def __init__(self, label: str, table: Mapping[str, object]) -> None:
        self.label, self.table = label, table
        for key in table:
            if key not in KEYS:
                raise UsageError(
                    f"[codecs.{label}] has an unknown key {key!r}{suggest(key, KEYS)}; there are: "
                    f"{', '.join(KEYS)}"
                )

    def error(self, key: str, what: str) -> UsageError:
        return UsageError(f"[codecs.{self.label}]: `{key}` {what} ({KEYS[key]})")

    def wrong(self, key: str, wanted: str) -> UsageError:
        return self.error(key, f"must be {wanted}, and is {self.table[key]!r}")

    def text(self, key: str) -> str | None:
        value = self.table.get(key)
        if value is not None and (not isinstance(value, str) or not value.strip()):
            raise self.wrong(key, "a text")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        value = self.table.get(key, ())
        if not isinstance(value, list | tuple) or not all(isinstance(part, str) for part in value):
            raise self.wrong(key, "a list of texts")
        return tuple(value)

    def choice(self, key: str, choices: tuple[str, ...]) -> str:
        value = self.table.get(key, choices[0])
        if value not in choices:
            raise self.wrong(key, " or ".join(choices))
        return str(value)

    def number(self, key: str, default: float | None) -> float | None:
        value = self.table.get(key, default)
        if value is None:
            return None
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < 1e18:
            raise self.wrong(key, "a number above 0")
        return value

    def positive(self, key: str, default: float) -> float:
        return self.number(key, default) or default

    def command(self, key: str, placeholders: tuple[str, ...]) -> Command | None:
        value = self.table.get(key)
        if value is None:
            return None
        if isinstance(value, str):
            raise self.wrong(key, "a list of program and arguments, because no shell runs it")
        command = self.texts(key)
        check_command(command, f"[codecs.{self.label}]: `{key}`", placeholders)
        return command

    def suffix(self) -> str:
        if "suffix" not in self.table:
            raise self.error("suffix", "is missing")
        suffix = self.text("suffix")
        if suffix is None or not _SUFFIX.fullmatch(suffix):
            raise self.wrong("suffix", "a dot with letters and digits after it")
        return suffix

    def bits(self, input_format: InputFormat) -> int:
        value = self.table.get("input_bits", 8)
        choices = BIT_DEPTHS[input_format]
        if isinstance(value, bool) or value not in choices:
            raise self.wrong(
                "input_bits", f"{' or '.join(map(str, choices))} for {input_format!r} input"
            )
        return int(value)

    def environment(self) -> tuple[tuple[str, str], ...]:
        value = self.table.get("environment", {})
        if not isinstance(value, Mapping):
            raise self.wrong("environment", 'a table, such as {OMP_NUM_THREADS = "1"}')
        for name, content in value.items():
            if not isinstance(content, str) or "\0" in content:
                raise self.error(
                    "environment", f"must have texts: {name} = {content!r} should be in quotes"
                )
            if not _VARIABLE.fullmatch(name) or name == FOLDER_VARIABLE:
                raise self.error("environment", f"cannot set {name!r}")
        return tuple(sorted(value.items()))

    def scale(self, encode: Command) -> QualityScale:
        step = self.positive("quality_step", 1)
        lowest, highest = self._range()
        better = self.table.get("higher_is_better", True)
        if not isinstance(better, bool):
            raise self.wrong("higher_is_better", "true or false")
        for bound in (lowest, highest):
            if abs(bound / step - round(bound / step)) > 1e-6:
                raise self.error(
                    "quality_range", f"has {bound:g}, which `quality_step` {step:g} does not divide"
                )
        steps = range(6)[1:-1]
        values = (lowest + (highest - lowest) * part / 5 for part in steps)
        return QualityScale(
            text=f"what {encode[0].rpartition('/')[2]} takes as {{quality}}; `quality_range` and "
            f"`quality_step` of [codecs.{self.label}]",
            lowest=lowest,
            highest=highest,
            defaults=tuple(dict.fromkeys(round(round(value / step) * step, 9) for value in values)),
            step=step,
            higher_is_better=better,
        )

    def _range(self) -> tuple[float, float]:
        value = self.table.get("quality_range", (0, 100))
        is_pair = isinstance(value, list | tuple) and len(value) == 2
        if not is_pair or not all(
            isinstance(bound, int | float) and not isinstance(bound, bool) and abs(bound) < 1e9
            for bound in cast(list[object], value)
        ):
            raise self.wrong("quality_range", "two numbers, such as [0, 100]")
        lowest, highest = cast(tuple[float, float], value)
        if not lowest < highest:
            raise self.wrong("quality_range", "the lower number first, and a higher one")
        return lowest, highest
