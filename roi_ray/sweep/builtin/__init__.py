"""The codecs that are libraries: see `README.md` of `roi_ray/sweep` for their quality scales."""

from collections.abc import Mapping
from types import MappingProxyType

from roi_ray.errors import UsageError
from roi_ray.io.nearby import suggest
from roi_ray.sweep.builtin.avif import AvifCodec
from roi_ray.sweep.builtin.codec import BuiltinCodec
from roi_ray.sweep.builtin.htj2k import Htj2kCodec
from roi_ray.sweep.builtin.jpegli import JpegliCodec
from roi_ray.sweep.builtin.jpegxl import JpegXlCodec
from roi_ray.sweep.builtin.jpegxr import JpegXrCodec
from roi_ray.sweep.builtin.pillow import Jpeg2000Codec, JpegCodec, WebpCodec

__all__ = ["BUILTIN", "BuiltinCodec", "list_codecs", "make_codec"]

BUILTIN: Mapping[str, type[BuiltinCodec]] = MappingProxyType(
    {
        codec.name: codec
        for codec in (
            JpegCodec,
            JpegliCodec,
            WebpCodec,
            AvifCodec,
            JpegXlCodec,
            JpegXrCodec,
            Jpeg2000Codec,
            Htj2kCodec,
        )
    }
)
"""The built-in codecs by name."""


def make_codec(
    name: str, options: Mapping[str, object] | None = None, label: str | None = None
) -> BuiltinCodec:
    """Make a built-in codec with its options.

    Args:
        name: name from `BUILTIN`.
        options: options by name: whole numbers, bools, or either as text, as flags of the command
            line give them. `{"444": True}` is a flag for `{"subsampling": 444}`. Those that are
            not given have their defaults.
        label: label; None for the name with the options that are not at their defaults, such as
            `avif-speed=9`.

    Raises:
        UsageError: there is no such codec or option, an option has no such value, or the label
            cannot be part of a file name. The message names what there is.

    Examples:
        >>> codec = make_codec("avif", {"speed": "9", "444": True})
        >>> codec.label, codec.settings
        ('avif-speed=9-subsampling=444', 'depth=8 speed=9 subsampling=444')
    """
    if name not in BUILTIN:
        raise UsageError(
            f"unknown codec {name!r}{suggest(name, BUILTIN)}; choose from {', '.join(BUILTIN)}"
        )
    return BUILTIN[name].make(options or {}, label)


def list_codecs() -> list[BuiltinCodec]:
    """Return all built-in codecs, each with the variants that have another library or scale."""
    return [codec.make(options) for codec in BUILTIN.values() for options in ({}, *codec.variants)]
