"""Describe the codecs of a sweep: what is available here, quality scales and options."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.table import Table

from roi_ray.errors import CodecError
from roi_ray.sweep.builtin import BuiltinCodec
from roi_ray.sweep.builtin.options import Option
from roi_ray.sweep.codec import Codec
from roi_ray.sweep.plan import PlannedCodec


def describe_codec(codec: Codec) -> dict[str, Any]:
    """Describe a codec by values that JSON can hold; asks it for its version.

    Returns:
        `codec` (the name, or the label of an external one), `variant` (the options in the label,
        such as `depth=10`), `label`, `settings`, `description`, `version` (None if it is not
        available), `error` (then, what to do), `suffix`, `quality` (the fields of `QualityScale`)
        and `options` (`option`, `default`, `values`, `text`).
    """
    version, error = None, None
    try:
        version = codec.version()
    except CodecError as missing:
        error = f"{codec.label}: {missing}"
    name, variant, description = codec.label, "", ""
    options: tuple[Option, ...] = ()
    if isinstance(codec, BuiltinCodec):
        name, description, options = codec.name, codec.description, codec.options
        variant = codec.label.removeprefix(name).removeprefix("-")
    return {
        "codec": name,
        "variant": variant,
        "label": codec.label,
        "settings": codec.settings,
        "description": description,
        "version": version,
        "error": error,
        "suffix": codec.suffix,
        "quality": asdict(codec.scale),
        "options": [
            {
                "option": option.name,
                "default": option.default,
                "values": option.choices,
                "text": option.text,
            }
            for option in options
        ],
    }


def describe_plan(planned: Iterable[PlannedCodec]) -> list[dict[str, Any]]:
    """Describe the codecs of a plan as `describe_codec` does, with their `targets` as texts."""
    return [
        describe_codec(codec) | {"targets": [str(target) for target in targets]}
        for codec, targets in planned
    ]


def make_codec_table(codecs: Iterable[Mapping[str, Any]]) -> Table:
    """Make a table of codecs, as `describe_codec` describes them: versions and quality scales."""
    table = _begin_table()
    table.add_column("codec", no_wrap=True)
    table.add_column("available here", max_width=20)
    table.add_column("quality", no_wrap=True)
    table.add_column("default", max_width=20)
    table.add_column("the quality is")
    for codec in codecs:
        scale = codec["quality"]
        lowest, highest = f"{scale['lowest']:g}", f"{scale['highest']:g}"
        if not scale["higher_is_better"]:
            lowest, highest = highest, lowest
        table.add_row(
            f"  {codec['variant']}" if codec["variant"] else codec["codec"],
            codec["version"] or "no",
            f"{lowest} to {highest}",
            " ".join(f"{quality:g}" for quality in scale["defaults"]),
            scale["text"],
        )
    return table


def make_plan_table(codecs: Iterable[Mapping[str, Any]]) -> Table:
    """Make a table of the codecs of a plan, as `describe_plan` describes them."""
    table = _begin_table()
    for name in ("codec of the plan", "available here", "encoded at"):
        table.add_column(name)
    for codec in codecs:
        table.add_row(
            codec["label"],
            codec["version"] or "no",
            " ".join(text.removeprefix("quality=") for text in codec["targets"]),
        )
    return table


def make_option_table(codecs: Sequence[Mapping[str, Any]]) -> Table:
    """Make a table of the options of codecs, as `describe_codec` describes them."""
    table = _begin_table()
    for name in ("codec", "option", "values"):
        table.add_column(name, no_wrap=True)
    table.add_column("meaning")
    for codec in codecs:
        if codec["variant"]:
            continue
        for index, option in enumerate(codec["options"]):
            default = str(option["default"]).lower()
            table.add_row(
                "" if index else codec["codec"],
                f"{option['option']}={default}",
                option["values"],
                option["text"],
            )
    return table


def _begin_table() -> Table:
    return Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
