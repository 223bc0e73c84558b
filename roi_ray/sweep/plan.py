"""The plan of a sweep: codecs with their options, and the qualities or targets of each.

It comes from texts such as `avif:20,35,50:speed=6,444`, from a TOML file, or both:

    match = ["bpp=0.25,0.5"]            # targets of every codec; optional

    [codecs.jpeg]
    quality = [10, 50, 90]              # or "10..90:20"; without it, the codec's default qualities
    subsampling = "444"                 # options of the codec

    [codecs.fast-avif]                  # another label than the codec's name
    codec = "avif"
    speed = 9

    [codecs.mine]                       # a codec by command line: see `roi_ray.sweep.external`
    quality = [1, 2, 3]
    encode = ["my-encoder", "{in}", "{out}", "--quality", "{quality}"]
"""

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple

from roi_ray import schema
from roi_ray.errors import UsageError
from roi_ray.io import storage
from roi_ray.sweep.builtin import make_codec
from roi_ray.sweep.builtin.options import check_label
from roi_ray.sweep.codec import Codec
from roi_ray.sweep.external import make_external_codec
from roi_ray.sweep.target import check_target

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)"
_RANGE = re.compile(rf"({_NUMBER})\.\.({_NUMBER})(?::({_NUMBER}))?")
_LIST = re.compile(rf"{_NUMBER}(?:,{_NUMBER})*")
_MAX_QUALITIES = 1000


@dataclass(frozen=True)
class Target:
    """What a codec has to meet on each image.

    Attributes:
        metric: `quality`, or a metric whose value is searched for: see `roi_ray.sweep.target`.
        value: the value.
    """

    metric: str
    value: float

    def __str__(self) -> str:
        return f"{self.metric}={self.value:.10g}"


class PlannedCodec(NamedTuple):
    """A codec of a sweep, with its targets on each image, in order and without repetition."""

    codec: Codec
    targets: tuple[Target, ...]


def make_plan(
    codecs: Sequence[str] = (), file: str | None = None, match: Sequence[str] = ()
) -> tuple[PlannedCodec, ...]:
    """Make the plan of a sweep.

    Args:
        codecs: `NAME`, `NAME:QUALITIES`, `NAME:OPTIONS` or `NAME:QUALITIES:OPTIONS`. Qualities are
            numbers or a range (`20,35,50`, `10..90:20`); options are separated by commas (`speed=6,
            444`). Without qualities and targets, a codec has its default qualities.
        file: path or URI of a TOML file.
        match: targets of every codec: `METRIC=VALUE,...`, such as `bpp=0.25,0.5`.

    Raises:
        UsageError: nothing is planned, or a codec, an option, a quality or a target is not
            possible; the message names what there is.
        StorageError: the file cannot be read.
    """
    tables, file_match = _read_tables(file) if file is not None else ({}, [])
    targets = [target for text in [*file_match, *match] for target in parse_match(text)]
    planned = [*map(_parse_codec, codecs)]
    planned += [_read_codec(label, table, str(file)) for label, table in tables.items()]
    if not planned:
        raise UsageError(
            "a sweep needs a codec: name some with --codec, or in the file that --plan names; "
            "`roi-ray codecs` lists them"
        )
    by_label: dict[str, PlannedCodec] = {}
    for codec, given in planned:
        qualities = given or (() if targets else codec.scale.defaults)
        for quality in qualities:
            codec.scale.check(quality, codec.label)
        if targets and not codec.scale.changes_image:
            raise UsageError(f"{codec.label} is lossless: no quality of it meets {targets[0]}")
        chosen = [Target(schema.QUALITY, quality) for quality in qualities] + targets
        earlier = by_label.get(codec.label)
        if earlier is not None and earlier.codec != codec:
            raise UsageError(f"codec {codec.label!r} is planned twice, with different options")
        chosen = [*(earlier.targets if earlier else ()), *chosen]
        by_label[codec.label] = PlannedCodec(codec, tuple(dict.fromkeys(chosen)))
    _check_file_names(by_label)
    return tuple(by_label.values())


def parse_match(text: str) -> list[Target]:
    """Read targets: `METRIC=VALUE,...`.

    Raises:
        UsageError: the text is not of this form, or there is no such metric or value.
    """
    metric, equals, values = text.partition("=")
    if not equals or not _LIST.fullmatch(values):
        raise UsageError(f"a target is METRIC=VALUE,..., such as bpp=0.25,0.5, not {text!r}")
    targets = [Target(metric.strip(), float(value)) for value in values.split(",")]
    for target in targets:
        check_target(target.metric, target.value)
    return targets


def parse_qualities(text: str) -> tuple[float, ...]:
    """Read qualities: numbers that are separated by commas, or a range `FIRST..LAST:STEP`.

    Raises:
        UsageError: the text is neither.

    Examples:
        >>> parse_qualities("20,35.5")
        (20.0, 35.5)
        >>> parse_qualities("10..90:20")
        (10.0, 30.0, 50.0, 70.0, 90.0)
    """
    text = text.replace(" ", "")
    if _LIST.fullmatch(text):
        return tuple(map(float, text.split(",")))
    if match := _RANGE.fullmatch(text):
        # Decimal, because 0.1 * 3 is not 0.3 in binary.
        first, last, step = map(Decimal, match.groups(default="1"))
        if step > 0 and first <= last and (last - first) / step < _MAX_QUALITIES:
            count = int((last - first) / step) + 1
            return tuple(float(first + step * index) for index in range(count))
    raise UsageError(
        f"qualities are numbers (20,35,50) or a range (10..95, or with a step 10..95:5; the lower "
        f"number first; at most {_MAX_QUALITIES:,} qualities), not {text!r}"
    )


def _parse_codec(text: str) -> tuple[Codec, tuple[float, ...]]:
    """Read a codec that is given as a text."""
    name, *parts = (part.strip() for part in text.split(":"))
    qualities: tuple[float, ...] = ()
    if parts and ".." in parts[0] and len(parts) > 1 and re.fullmatch(_NUMBER, parts[1]):
        parts[:2] = [":".join(parts[:2])]
    if parts and re.match(r"[\d.+-]", parts[0]):
        qualities = parse_qualities(parts.pop(0))
    elif len(parts) > 1 and not parts[0]:
        parts.pop(0)
    if len(parts) > 1:
        raise UsageError(
            f"a codec is NAME:QUALITIES:OPTIONS, such as avif:20,50:speed=6, not {text!r}"
        )
    return make_codec(name, _parse_options(parts[0] if parts else "", text)), qualities


def _parse_options(text: str, whole: str) -> dict[str, object]:
    """Read options: `NAME=VALUE` or a word alone, separated by commas."""
    options: dict[str, object] = {}
    for part in filter(None, map(str.strip, text.split(","))):
        name, equals, value = part.partition("=")
        if name in options:
            raise UsageError(f"option {name!r} occurs twice in {whole!r}")
        options[name] = _parse_value(value) if equals else True
    return options


def _parse_value(text: str) -> object:
    """Read the value of an option as TOML would: a number, true or false, else text."""
    if text in ("true", "false"):
        return text == "true"
    if re.fullmatch(r"[+-]?\d+", text):
        return int(text)
    return float(text) if re.fullmatch(_NUMBER, text) else text


def _read_tables(file: str) -> tuple[dict[str, Mapping[str, Any]], list[str]]:
    """Read the tables of codecs by label, and the targets, of a TOML file."""
    try:
        plan = tomllib.loads(storage.read_bytes(storage.absolute(file)).decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} is not TOML: {error}") from error
    if unknown := sorted(plan.keys() - {"codecs", "match"}):
        raise UsageError(f"{file} has {unknown[0]!r}; a plan has tables [codecs.NAME], and match")
    codecs, match = plan.get("codecs", {}), plan.get("match", [])
    match = [match] if isinstance(match, str) else match
    if not isinstance(match, list) or not all(isinstance(text, str) for text in match):
        raise UsageError(f'{file}: match is a list of texts, such as match = ["bpp=0.25,0.5"]')
    if not isinstance(codecs, dict) or not all(isinstance(c, dict) for c in codecs.values()):
        raise UsageError(f"{file}: each codec is a table [codecs.NAME]")
    return codecs, match


def _read_codec(label: str, table: Mapping[str, Any], file: str) -> tuple[Codec, tuple[float, ...]]:
    """Read the table of a codec."""
    options = dict(table)
    where = f"[codecs.{label}]"
    try:
        qualities = _read_qualities(options.pop("quality")) if "quality" in options else ()
        if "encode" in options:
            return make_external_codec(check_label(label), options), qualities
        return make_codec(str(options.pop("codec", label)), options, label), qualities
    except UsageError as error:
        text = str(error).removeprefix(f"{where}: ")
        raise UsageError(f"{file}: {where}: {text}") from error


def _read_qualities(value: object) -> tuple[float, ...]:
    if isinstance(value, str):
        return parse_qualities(value)
    values = value if isinstance(value, list) else [value]
    if values and all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in values):
        return tuple(map(float, values))
    raise UsageError('quality is a list of numbers, or a text such as "10..95:5"')


def _check_file_names(labels: Iterable[str]) -> None:
    """Check that no two labels differ in upper and lower case alone: some disks ignore it."""
    seen: dict[str, str] = {}
    for label in labels:
        if (other := seen.setdefault(label.casefold(), label)) != label:
            raise UsageError(
                f"codecs {other!r} and {label!r} need labels that differ in more than case"
            )
