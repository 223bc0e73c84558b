"""Provenance of scores and features: their version, weights and settings, as one line of text.

Features that differ in these cannot be compared. The text is in the column `scored_with` of
comparisons, and in every model that is trained on them. Texts without a scoring version are of
releases that did not write it, all of them older than scoring version 3.
"""

import re
from collections.abc import Mapping
from typing import Any, get_args

import pyarrow as pa
import pyarrow.compute as pc

from roi_ray import schema
from roi_ray.errors import ManifestError
from roi_ray.io import storage
from roi_ray.pipeline.run_record import RUN_JSON, Run, read_run
from roi_ray.settings import Precision

_VERSION = "scoring_version"
_PART = re.compile(r"(\w+)=(.*?)(?= \w+=|$)")
"""One name and its value, which may be the name of a file with spaces."""


def describe_provenance(config: Mapping[str, Any], scoring_version: int | None) -> str:
    """Describe a run's scoring version, weights and settings in one line.

    Args:
        config: a run's `roi_weighting`, `precision` and `weights`.
        scoring_version: the run's `SCORING_VERSION`; None for runs of releases that had none.
    """
    parts = [] if scoring_version is None else [f"{_VERSION}={scoring_version}"]
    parts += [f"{name}={config[name]}" for name in ("roi_weighting", "precision")]
    for network, files in sorted(config["weights"].items()):
        weights = "+".join(f"{file['name']}:{file['sha256'][:12]}" for file in files)
        parts.append(f"{network}={weights}")
    return " ".join(parts)


def find_precision(provenance: str) -> Precision | None:
    """Find the precision in a text of `describe_provenance`; None if it has none."""
    precisions = get_args(Precision)
    return next((p for p in precisions if f"precision={p}" in provenance.split()), None)


def read_scores_provenance(scores: str) -> str | None:
    """Describe the provenance of scores; None if they have no `_run/run.json`."""
    run = _read_run_if_present(scores)
    return None if run is None else describe_provenance(run["config"], run.get(_VERSION))


def read_scores_base(scores: str) -> str | None:
    """Find the folder that the URIs of scores are relative to; None if it is unknown."""
    run = _read_run_if_present(scores)
    return None if run is None else run.get("manifest", {}).get("base")


def features_provenance(table: pa.Table, name: str) -> str | None:
    """Find the provenance of the features of comparisons; None if unknown.

    Args:
        table: comparisons with features.
        name: name of the comparisons, for the error message.

    Raises:
        ManifestError: rows differ in their scoring version, weights or settings.
    """
    if schema.SCORED_WITH not in table.column_names:
        return None
    distinct: list[str] = pc.unique(table[schema.SCORED_WITH].drop_null()).to_pylist()
    versions = sorted({_read_version(text) for text in distinct})
    if len(versions) > 1:
        raise ManifestError(
            f"comparisons {name} have features of different scoring versions, which cannot be "
            f"compared: {', '.join(map(_name_version, versions))}; score the images of the older "
            "ones again with `roi-ray compare`"
        )
    if len(distinct) > 1:
        raise ManifestError(
            f"comparisons {name} have features from different weights or settings, which cannot "
            "be compared: " + "; ".join(distinct)
        )
    return distinct[0] if distinct else None


def check_same_provenance(features: str, model: str, name: str) -> None:
    """Check that features have the provenance of the features that a model was trained on.

    Args:
        features: provenance of the features of comparisons.
        model: provenance of the model's training features.
        name: name of the comparisons, for the error message.

    Raises:
        ManifestError: they differ; the message says which is older, and what to do.
    """
    if features == model:
        return
    both = f"\n  model:       {model}\n  comparisons: {features}\n"
    ours, theirs = _read_version(features), _read_version(model)
    if ours < theirs:
        raise ManifestError(
            f"the features of comparisons {name} are older than those that the model was trained "
            f"on: they are of {_name_version(ours)}, the model is of {_name_version(theirs)}. "
            f"Score their images again, with `roi-ray compare` and a new --output:{both.rstrip()}"
        )
    if ours > theirs:
        raise ManifestError(
            f"the model is older than the features of comparisons {name}: it is of "
            f"{_name_version(theirs)}, they are of {_name_version(ours)}. Train it again (`roi-ray "
            "compare --model none`, then `roi-ray train`), or use the packaged model of this "
            f"release:{both.rstrip()}"
        )
    raise ManifestError(
        f"the features of comparisons {name} come from other weights or settings than those that "
        f"the model was trained on:{both}"
        "score with the model's weights and settings, or train a model on these features"
    )


def describe_versions(features: str, model: str) -> tuple[str, str] | None:
    """Name the scoring versions of features and of a model; None if they are the same."""
    ours, theirs = _read_version(features), _read_version(model)
    return None if ours == theirs else (_name_version(ours), _name_version(theirs))


def find_differences(features: str, model: str) -> list[tuple[str, str | None, str | None]]:
    """List the settings and weights in which two texts of `describe_provenance` differ.

    Args:
        features: provenance of features.
        model: provenance of the features that a model was trained on.

    Returns:
        name, value of the features, value of the model; None where a text does not have the name.
    """
    ours, theirs = (dict(_PART.findall(text)) for text in (features, model))
    names = [name for name in {**ours, **theirs} if ours.get(name) != theirs.get(name)]
    return [(name, ours.get(name), theirs.get(name)) for name in names]


def _read_version(provenance: str) -> int:
    """Read the scoring version of a provenance; 0 if it has none."""
    found = re.match(rf"{_VERSION}=(\d+)(?: |$)", provenance)
    return int(found[1]) if found else 0


def _name_version(version: int) -> str:
    return f"scoring version {version}" if version else "a scoring version before 3"


def _read_run_if_present(scores: str) -> Run | None:
    uri = storage.absolute(scores)
    return read_run(uri) if storage.is_file(storage.join(uri, *RUN_JSON)) else None
