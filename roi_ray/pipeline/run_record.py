"""The record of a run, `OUTPUT/_run/run.json`: its manifest, settings, weights and versions.

Its identity, the part that decides the results, is also in every shard's file.
"""

import json
import platform
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import pyarrow as pa

import roi_ray
from roi_ray.errors import OutputError
from roi_ray.io import storage
from roi_ray.pipeline.kind import JobKind

Run = dict[str, Any]

RUN_FOLDER = "_run"
RUN_JSON = (RUN_FOLDER, "run.json")


def describe_run(kind: JobKind, config: Mapping[str, Any], manifest: Mapping[str, str]) -> Run:
    """Describe a run that starts now.

    Args:
        kind: the kind of job.
        config: values that, with the kind's version, two runs must share to be the same run.
            Machines, actors and batch sizes are not part of it.
        manifest: location of the manifest: `given`, `uri` and `base`.
    """
    return {
        "command": kind.command,
        "roi_ray": roi_ray.__version__,
        kind.version_name: kind.version,
        "started": now(),
        "manifest": dict(manifest),
        "config": dict(config),
        "columns": {name: asdict(kind.meanings[name]) for name in kind.columns.names},
        "versions": {
            "python": platform.python_version(),
            # Importing torch takes seconds, and sweeps do not need it.
            "torch": version("torch"),
            "pyarrow": pa.__version__,
        },
    }


def read_run(uri: str, command: str | None = "score") -> Run:
    """Read the record of an output.

    Args:
        uri: the output.
        command: the command that must have written it; None for any.

    Raises:
        OutputError: the folder has no record, one of another layout, or one of another command.
    """
    file = storage.join(uri, *RUN_JSON)
    name = f"`roi-ray {command}`" if command else "`roi-ray score` or `roi-ray sweep`"
    if not storage.is_file(file):
        raise OutputError(f"{uri} has no {'/'.join(RUN_JSON)}, so it is not an output of {name}")
    try:
        run: Run = json.loads(storage.read_bytes(file))
        provenance(run), run["config"]["manifest"]["rows"], run["config"]["shard_size"]
    except (ValueError, KeyError, TypeError) as error:
        raise OutputError(f"{file} is not a record of {name}: {error!r}") from error
    if command not in (None, written_by(run)):
        raise OutputError(f"{uri} is an output of `roi-ray {written_by(run)}`, not of {name}")
    return run


def written_by(run: Run) -> str:
    """Return the command that a run is of. Old records, all of scores, do not name it."""
    return str(run.get("command", "score"))


def write_run(uri: str, run: Run) -> None:
    """Write the record of an output."""
    data = json.dumps(run, indent=2) + "\n"
    storage.write_bytes(storage.join(uri, *RUN_JSON), data.encode())


def identity(run: Mapping[str, Any]) -> dict[str, Any]:
    """Select the part that decides a run's results, as JSON stores it: its version and config.

    Runs of old releases have no version.
    """
    values = {name: run[name] for name in run if name.endswith("_version") or name == "config"}
    stored: dict[str, Any] = json.loads(json.dumps(values))
    return stored


def provenance(run: Run) -> bytes:
    """Encode the part of a run's record that every shard's file contains, as JSON."""
    facts = {"roi_ray": run["roi_ray"], **identity(run), "columns": run["columns"]}
    return json.dumps(facts, sort_keys=True).encode()


def list_differences(stored: Mapping[str, Any], current: Mapping[str, Any]) -> list[str]:
    """List the differences between two runs' identities, one line each."""
    old, new = (_flatten({**run, **run["config"], "config": None}) for run in (stored, current))
    return [
        f"  {key}: {old.get(key)!r} before, {new.get(key)!r} now"
        for key in sorted(old.keys() | new.keys())
        # An empty list of a new release is what older ones did without it.
        if old.get(key) != new.get(key) and (old.get(key) or new.get(key))
    ]


def now() -> str:
    """Return the current time in ISO 8601, UTC."""
    return datetime.now(UTC).isoformat()


def _flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, dict):
            flat |= _flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat
