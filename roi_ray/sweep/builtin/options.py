"""Options of the built-in codecs: what there is, and how a user's values are read and checked."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from roi_ray.errors import UsageError
from roi_ray.io.nearby import suggest

OptionValue: TypeAlias = int | bool | str
"""A value of an option: a whole number, yes or no, or a word."""

SUBSAMPLING = "chroma: 444 full, 422 halved across, 420 halved both ways"

_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._=+-]{0,99}")
_WORDS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


@dataclass(frozen=True)
class Option:
    """An option of a codec.

    Attributes:
        name: name, as in `speed=6`.
        text: what it does, in a few words.
        default: value where none is given; a bool for a switch.
        values: all values; empty for a switch.
        is_flag: whether a bare value stands for the option: `444` for `subsampling=444`.
    """

    name: str
    text: str
    default: OptionValue
    values: Sequence[int | str] = ()
    is_flag: bool = False

    @property
    def choices(self) -> str:
        """The values in words, such as `0 to 10` or `420, 422 or 444`."""
        if isinstance(self.default, bool):
            return "true or false"
        if isinstance(self.values, range):
            return f"{self.values[0]} to {self.values[-1]}"
        *first, last = map(str, self.values)
        return f"{', '.join(first)} or {last}" if first else last

    def read(self, value: object, codec: str) -> OptionValue:
        """Check a value; text, as flags of the command line give it, is converted.

        Args:
            value: a whole number, a bool or a word; numbers and bools may be text.
            codec: the codec's name, for the message.

        Raises:
            UsageError: the option has no such value.
        """
        converted = self._convert(value)
        if converted is None:
            shown = value if isinstance(value, str) else repr(value)
            raise UsageError(f"{codec}: {self.name}={shown} cannot be used; choose {self.choices}")
        return converted

    def _convert(self, value: object) -> OptionValue | None:
        if isinstance(self.default, bool):
            value = _WORDS.get(value.lower()) if isinstance(value, str) else value
            return value if isinstance(value, bool) else None
        if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value):
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int | str):
            return None
        return value if value in self.values else None


Options: TypeAlias = Mapping[str, OptionValue]
"""The values of all options of a codec, by name."""


def read_options(codec: str, options: Sequence[Option], given: Mapping[str, object]) -> Options:
    """Read the options of a codec and fill in the defaults.

    Args:
        codec: the codec's name, for messages.
        options: the codec's options.
        given: values by name; `{"444": True}` and `{"progressive": True}` are flags.

    Returns:
        the values of all options, sorted by name.

    Raises:
        UsageError: the codec has no such option, an option no such value, or one is given twice.
    """
    by_name = {option.name: option for option in options}
    flags = {str(value): option for option in options if option.is_flag for value in option.values}
    values: dict[str, OptionValue] = {}
    for name, value in given.items():
        option, text = by_name.get(name), value
        if option is None and name in flags and value is True:
            option, text = flags[name], name
        if option is None:
            raise UsageError(_describe_unknown(codec, name, [*by_name, *flags]))
        if option.name in values:
            raise UsageError(f"{codec}: the option {option.name} is given twice")
        values[option.name] = option.read(text, codec)
    return {name: values.get(name, by_name[name].default) for name in sorted(by_name)}


def make_label(codec: str, options: Sequence[Option], values: Options) -> str:
    """Name a codec with its options: the name, then the options that are not at their defaults.

    Returns:
        such as `avif` or `avif-speed=9-subsampling=444`: options sorted by name.
    """
    defaults = {option.name: option.default for option in options}
    words = [_write(name, value) for name, value in values.items() if value != defaults[name]]
    return "-".join([codec, *words])


def check_label(label: str) -> str:
    """Return a codec's label if it can be part of a file name.

    Raises:
        UsageError: it cannot.
    """
    if not _LABEL.fullmatch(label):
        raise UsageError(
            f"{label!r} cannot name a codec; use at most 100 of the characters A-Z, a-z, 0-9 and "
            "._=+-, with a letter or a digit first"
        )
    return label


def write_settings(values: Options) -> str:
    """Write all options as text, such as `depth=8 speed=6 subsampling=420`."""
    return " ".join(_write(name, value) for name, value in values.items())


def _describe_unknown(codec: str, name: str, names: list[str]) -> str:
    if not names:
        return f"{codec} has no option {name!r}, and no other"
    return f"{codec} has no option {name!r}{suggest(name, names)}; it has {', '.join(names)}"


def _write(name: str, value: OptionValue) -> str:
    return f"{name}={str(value).lower()}"
