"""A codec whose encoder and decoder are command lines."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from roi_ray.errors import ImageError, ImageReadError
from roi_ray.imaging.formats import identify
from roi_ray.sweep.codec import Codec, Decoded, Encoded
from roi_ray.sweep.external.calls import Caller, Result, read_version
from roi_ray.sweep.external.commands import Command, fill_in, format_quality
from roi_ray.sweep.external.failures import show_output
from roi_ray.sweep.external.table import ExternalTable, read_table
from roi_ray.sweep.source import SourceImage
from roi_ray.sweep.y4m import read_y4m


@dataclass(frozen=True, kw_only=True)
class ExternalCodec(Codec):
    """A codec that runs as commands, each in a working folder of its own.

    Attributes:
        table: the commands, and how to run them.
    """

    table: ExternalTable

    @property
    def _caller(self) -> Caller:
        return Caller(self.label, self.table)

    def version(self) -> str:
        """Return what the command `version` prints, or the SHA-256 of the encoder's program.

        Raises:
            CodecError: the program is not available here, or the command failed.
        """
        return read_version(self._caller)

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
        result = self._caller.call(command, data, f"input.{table.input}", f"output{self.suffix}")
        if table.decode is None:
            self._check_readable(command, result)
        outcome = result.outcome
        return Encoded(result.data, outcome.seconds, outcome.memory, outcome.launcher_seconds)

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
        result = self._caller.call(command, data, source, target)
        image = result.data
        try:
            if table.output == "y4m":
                image = SourceImage(pixels := read_y4m(image)).file(
                    "png", 8 * pixels.dtype.itemsize
                )
            elif (name := identify(image)) != table.output.upper():
                raise ImageReadError(f"it is a file of the format {name}")
        except ImageError as error:
            raise self._caller.error(
                command,
                f"wrote {target}, which cannot be read: {error}{show_output(result.outcome)}",
            ) from error
        outcome = result.outcome
        return Decoded(image, outcome.seconds, outcome.memory, outcome.launcher_seconds)

    def _check_readable(self, command: Command, result: Result) -> None:
        try:
            identify(result.data)
        except ImageReadError as error:
            raise self._caller.error(
                command,
                f"wrote a file that roi-ray does not read ({error}); add a command `decode` to "
                f"[codecs.{self.label}]{show_output(result.outcome)}",
            ) from error


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
