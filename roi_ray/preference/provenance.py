"""Provenance of scores and features: their weights and settings, as one line of text.

Features from different weights or settings cannot be compared. The text is in the column
`scored_with` of comparisons, and in every model that is trained on them.
"""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from roi_ray import schema
from roi_ray.errors import ManifestError
from roi_ray.io import storage
from roi_ray.pipeline.run_record import RUN_JSON, Run, read_run


def describe_provenance(config: Mapping[str, Any]) -> str:
    """Describe a run's weights and settings in one line.

    Args:
        config: a run's `roi_weighting`, `precision` and `weights`.
    """
    parts = [f"{name}={config[name]}" for name in ("roi_weighting", "precision")]
    for network, files in sorted(config["weights"].items()):
        weights = "+".join(f"{file['name']}:{file['sha256'][:12]}" for file in files)
        parts.append(f"{network}={weights}")
    return " ".join(parts)


def read_scores_provenance(scores: str) -> str | None:
    """Describe the weights and settings of scores; None if they have no `_run/run.json`."""
    run = _read_run_if_present(scores)
    return None if run is None else describe_provenance(run["config"])


def read_scores_base(scores: str) -> str | None:
    """Find the folder that the URIs of scores are relative to; None if it is unknown."""
    run = _read_run_if_present(scores)
    return None if run is None else run.get("manifest", {}).get("base")


def features_provenance(table: pa.Table, name: str) -> str | None:
    """Find the weights and settings behind the features of comparisons; None if unknown.

    Args:
        table: comparisons with features.
        name: name of the comparisons, for the error message.

    Raises:
        ManifestError: rows differ in their weights or settings.
    """
    if schema.SCORED_WITH not in table.column_names:
        return None
    distinct: list[str] = pc.unique(table[schema.SCORED_WITH].drop_null()).to_pylist()
    if len(distinct) > 1:
        raise ManifestError(
            f"comparisons {name} have features from different weights or settings, which cannot "
            "be compared: " + "; ".join(distinct)
        )
    return distinct[0] if distinct else None


def _read_run_if_present(scores: str) -> Run | None:
    uri = storage.absolute(scores)
    return read_run(uri) if storage.is_file(storage.join(uri, *RUN_JSON)) else None
