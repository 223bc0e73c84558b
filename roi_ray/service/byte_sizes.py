"""Sizes in bytes as people write them. Imports nothing heavy."""

import re

from roi_ray.errors import UsageError

_UNITS: dict[str, int] = {
    "": 1,
    "B": 1,
    **{name: 1000**power for power, name in enumerate(("KB", "MB", "GB", "TB"), 1)},
    **{name: 1024**power for power, name in enumerate(("KIB", "MIB", "GIB", "TIB"), 1)},
}
_SIZE = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,18})?) ?([A-Za-z]*)")


def parse_bytes(text: str) -> int:
    """Read a number of bytes.

    Args:
        text: a number, with or without a unit: KB, MB, GB, TB are powers of 1000, KiB, MiB, GiB,
            TiB powers of 1024.

    Raises:
        UsageError: it is no size, or below one byte.

    Examples:
        >>> parse_bytes("64MiB"), parse_bytes("1.5 GB"), parse_bytes("4096")
        (67108864, 1500000000, 4096)
    """
    match = _SIZE.fullmatch(text.strip())
    unit = _UNITS.get(match[2].upper()) if match else None
    if match is None or unit is None:
        raise UsageError(f"{text!r} is not a size in bytes; write it as 268435456 or 256MiB")
    size = round(float(match[1]) * unit)
    if size < 1:
        raise UsageError(f"{text!r} is below one byte")
    return size
