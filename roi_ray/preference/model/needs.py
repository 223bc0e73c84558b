"""The settings that a preference model needs its images to be scored with."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from roi_ray import schema
from roi_ray.errors import UsageError
from roi_ray.preference.comparisons.provenance import (
    describe_provenance,
    describe_versions,
    find_differences,
    find_precision,
)
from roi_ray.preference.model.preference_model import PreferenceModel
from roi_ray.scoring.version import SCORING_VERSION
from roi_ray.settings import Settings


def add_needs(model: PreferenceModel, settings: Settings) -> Settings:
    """Add the metrics that a model needs; and its training's precision in place of `auto`."""
    metrics = {*settings.metrics, *schema.list_metrics(model.features)}
    precision = settings.precision
    if precision == "auto":
        precision = find_precision(model.provenance.get(schema.SCORED_WITH) or "") or "auto"
    return replace(settings, metrics=tuple(metrics), precision=precision)


def describe_scoring(settings: Settings, weights: Mapping[str, Any]) -> str:
    """Describe the scoring of this release: its version, the weights and the settings.

    Args:
        settings: settings that the images are going to be scored with.
        weights: name and SHA-256 of each network's files, as `Scorer.provenance`.
    """
    return describe_provenance({**asdict(settings), "weights": weights}, SCORING_VERSION)


def check_scoring(model: PreferenceModel, settings: Settings, weights: Mapping[str, Any]) -> None:
    """Check that a scorer measures images as the training of a model did.

    Nothing is checked if the model does not say how its training images were scored.

    Args:
        model: the model.
        settings: settings of the scorer.
        weights: `Scorer.provenance`.

    Raises:
        UsageError: the model was trained with another scoring version, other weights or settings;
            the message names each.
    """
    needed = model.provenance.get(schema.SCORED_WITH)
    ours = describe_scoring(settings, weights)
    if not needed or ours == needed:
        return
    name = model.identity.get("name", "without a name")
    if versions := describe_versions(ours, needed):
        raise UsageError(
            f"the preference model {name} was trained on scores of {versions[1]}, but this release "
            f"of roi-ray measures {versions[0]}: take the packaged model, or train a model anew "
            "(`roi-ray compare --model none`, then `roi-ray train`)"
        )
    differences = ", ".join(
        f"{setting} is {here or 'not set'}, but it needs {there or 'none'}"
        for setting, here, there in find_differences(ours, needed)
    )
    raise UsageError(
        f"the preference model {name} was trained on other scores: {differences}. Score with the "
        "settings of its training, or take a model that was trained with yours"
    )
