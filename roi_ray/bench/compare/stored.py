"""Read `bench.json` of an earlier run: its commit, and what it said."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median_high
from typing import Any

from roi_ray.errors import UsageError


@dataclass(frozen=True)
class StoredRun:
    """An earlier run.

    Attributes:
        commit: full hash of the commit that was measured; None if it is not known.
        is_dirty: whether files differed from that commit.
        summary: its `source`, `machine` and `ratios`, and `ms_per_pair` by size and K; only what
            the file has. Its times cannot be compared with those of another run.
    """

    commit: str | None = None
    is_dirty: bool = False
    summary: dict[str, Any] = field(default_factory=dict)


def read_stored_run(path: Path) -> StoredRun:
    """Read the `bench.json` of an earlier run.

    Raises:
        UsageError: it is not one.
    """
    try:
        return _parse(json.loads(path.read_text()))
    except OSError as error:
        raise UsageError(f"--compare: {path} cannot be read: {error.strerror}") from error
    except (ValueError, TypeError, AttributeError, LookupError, ZeroDivisionError) as error:
        raise UsageError(f"--compare: {path} is not the bench.json of a run: {error}") from error


def _parse(values: dict[str, Any]) -> StoredRun:
    if not ("source" in values or "steps" in values):
        raise ValueError("it has no source and no steps")
    source = values.get("source", {})
    return StoredRun(source.get("commit"), bool(source.get("dirty")), _summarise(values))


def _summarise(values: dict[str, Any]) -> dict[str, Any]:
    milliseconds = {}
    for entry in values.get("growth", []):
        timing = entry["timing"]
        size = f"{entry['width']} x {entry['height']}, K = {entry['per_reference']}"
        milliseconds[size] = 1000 * median_high(timing["seconds"]) / timing["pairs"]
    summary = {name: values.get(name) for name in ("source", "machine", "ratios")}
    summary["ms_per_pair"] = milliseconds
    return {name: value for name, value in summary.items() if value}
