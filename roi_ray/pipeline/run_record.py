"""The record of a run, `OUTPUT/_run/run.json`: its manifest, settings, weights and versions.

Its identity, the part that decides the numbers, is also in every shard's file.
"""

import json
import platform
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

import roi_ray
from roi_ray import schema
from roi_ray.errors import OutputError
from roi_ray.io import storage
from roi_ray.scoring.version import SCORING_VERSION

Run = dict[str, Any]

RUN_FOLDER = "_run"
RUN_JSON = (RUN_FOLDER, "run.json")


def describe_run(config: Mapping[str, Any], manifest: Mapping[str, str]) -> Run:
    """Describe a run that starts now.

    Args:
        config: values that, with `SCORING_VERSION`, two runs must share to be the same run.
            Machines, actors and batch sizes are not part of it.
        manifest: location of the manifest: `given`, `uri` and `base`.
    """
    import torch  # here, because `roi-ray status` reads records without torch

    return {
        "roi_ray": roi_ray.__version__,
        "scoring_version": SCORING_VERSION,
        "started": now(),
        "manifest": dict(manifest),
        "config": dict(config),
        "columns": {
            name: asdict(schema.MEANINGS[name])
            for name in schema.make_scores_schema(config.get("metrics", ())).names
        },
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "pyarrow": pa.__version__,
        },
    }


def read_run(uri: str) -> Run:
    """Read the record of an output.

    Raises:
        OutputError: the folder has no record, or one of another layout.
    """
    file = storage.join(uri, *RUN_JSON)
    if not storage.is_file(file):
        raise OutputError(
            f"{uri} has no {'/'.join(RUN_JSON)}, so it is not an output of `roi-ray score`"
        )
    try:
        run: Run = json.loads(storage.read_bytes(file))
        provenance(run), run["config"]["manifest"]["rows"], run["config"]["shard_size"]
    except (ValueError, KeyError, TypeError) as error:
        raise OutputError(f"{file} is not a record of `roi-ray score`: {error!r}") from error
    return run


def write_run(uri: str, run: Run) -> None:
    """Write the record of an output."""
    data = json.dumps(run, indent=2) + "\n"
    storage.write_bytes(storage.join(uri, *RUN_JSON), data.encode())


def identity(run: Mapping[str, Any]) -> dict[str, Any]:
    """Select the part that decides a run's numbers, as JSON stores it: scoring version and config.

    Runs of releases without a scoring version have None.
    """
    values = {"scoring_version": run.get("scoring_version"), "config": run["config"]}
    stored: dict[str, Any] = json.loads(json.dumps(values))
    return stored


def provenance(run: Run) -> bytes:
    """Encode the part of a run's record that every shard's file contains, as JSON."""
    facts = {"roi_ray": run["roi_ray"], **identity(run), "columns": run["columns"]}
    return json.dumps(facts, sort_keys=True).encode()


def list_differences(stored: Mapping[str, Any], current: Mapping[str, Any]) -> list[str]:
    """List the differences between two runs' identities, one line each."""
    old, new = (
        _flatten({"scoring_version": run["scoring_version"], **run["config"]})
        for run in (stored, current)
    )
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
