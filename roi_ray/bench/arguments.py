"""Parse the arguments of `roi-ray bench`. Imports nothing heavy."""

import re
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from roi_ray.errors import UsageError

if TYPE_CHECKING:
    from roi_ray.bench.waiting import ServiceTimes

_SIZE = re.compile(r"(\d{1,6})(?:x(\d{1,6}))?")
_MEGAPIXELS = re.compile(r"(\d{1,6}(?:\.\d{1,6})?)MP", re.IGNORECASE)

_BY_ALL = {"sizes", "per_reference", "images", "output"}
_BY_MEASUREMENT = {
    "": {
        *("quick", "against", "saliency", "precision", "device", "batch", "threads", "references"),
        *("decoded", "rounds", "job_pairs", "no_ray"),
    },
    "--compare": {
        *("compare", "compare_source", "tolerance", "quick", "precision", "device", "threads"),
        "rounds",
    },
    "--service": {"service", "minutes", "url", "quick", "threads", "rounds"},
    "--scaling": {"scaling", "scaling_ms", "decoded"},
}
"""Options that have an effect on each measurement, as names of parameters."""
_OVERRULED = {"quick": ("rounds", "job_pairs"), "no_ray": ("job_pairs",)}
"""Options that have no effect beside another one."""


def check_options(measurement: str, given: Collection[str]) -> None:
    """Check that every option that was given has an effect.

    Args:
        measurement: `--compare`, `--service` or `--scaling`; empty if it is none of them.
        given: names of the options, as parameters.

    Raises:
        UsageError: an option has none.

    Examples:
        >>> check_options("--compare", ["compare", "rounds"])
        >>> check_options("--compare", ["compare", "saliency"])
        Traceback (most recent call last):
        roi_ray.errors.UsageError: --saliency has no effect with --compare; leave it out
    """
    for name in given:
        option = f"--{name.replace('_', '-')}"
        if name not in _BY_ALL | _BY_MEASUREMENT[measurement]:
            owners = [owner for owner, names in _BY_MEASUREMENT.items() if name in names]
            beside = f"with {measurement}" if measurement else f"without {owners[0]}"
            raise UsageError(f"{option} has no effect {beside}; leave it out")
        for stronger, overruled in _OVERRULED.items():
            if stronger in given and name in overruled:
                beside = stronger.replace("_", "-")
                raise UsageError(f"{option} has no effect with --{beside}; leave it out")


def list_files(folder: Path) -> list[Path]:
    """List the files of a folder in order, without hidden ones."""
    return sorted(path for path in folder.iterdir() if path.is_file() and path.name[0] != ".")


def parse_sizes(text: str) -> list[tuple[int, int]]:
    """Parse `--sizes`: heights and widths.

    Raises:
        UsageError: it is not a list of sizes.

    Examples:
        >>> parse_sizes("512,6000x4000,24MP")
        [(512, 512), (4000, 6000), (4000, 6000)]
    """
    sizes = []
    for part in text.split(","):
        if match := _SIZE.fullmatch(part.strip()):
            width, height = int(match[1]), int(match[2] or match[1])
        elif match := _MEGAPIXELS.fullmatch(part.strip()):
            width = round((1_500_000 * float(match[1])) ** 0.5)
            height = round(width / 1.5)
        else:
            width = height = 0
        if not width or not height:
            raise UsageError(
                f"--sizes {text!r}: give sizes such as 512, 6000x4000 or 24MP, separated by commas"
            )
        sizes.append((height, width))
    return sizes


def parse_numbers(option: str, text: str) -> list[int]:
    """Parse the whole numbers of an option, 1 or more each.

    Raises:
        UsageError: it is not a list of such numbers.

    Examples:
        >>> parse_numbers("--per-reference", "8,24")
        [8, 24]
    """
    try:
        numbers = [int(number) for number in text.split(",")]
    except ValueError as error:
        raise UsageError(f"{option} {text!r}: give whole numbers separated by commas") from error
    if min(numbers) < 1:
        raise UsageError(f"{option} {text!r}: give numbers of at least 1")
    return numbers


def parse_times(text: str | None) -> "ServiceTimes | None":
    """Parse `--scaling-ms`: milliseconds per reference and per pair.

    Raises:
        UsageError: the text is not two such numbers.
    """
    if text is None:
        return None
    from roi_ray.bench.waiting import ServiceTimes

    match = re.fullmatch(r"(\d+(?:\.\d+)?),(\d+(?:\.\d+)?)", text)
    if match is None or float(match[2]) == 0:
        raise UsageError(
            f"--scaling-ms {text!r}: give milliseconds per reference and per pair, such as 60,90"
        )
    return ServiceTimes(float(match[1]) / 1000, float(match[2]) / 1000)
