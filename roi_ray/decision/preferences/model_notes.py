"""What a preference model is, what it cannot say, and whether scores fit it, in sentences."""

from roi_ray import schema
from roi_ray.decision.score_table import SweepScores
from roi_ray.errors import ManifestError
from roi_ray.pipeline.run_record import Run
from roi_ray.preference.comparisons.provenance import describe_provenance, find_differences
from roi_ray.preference.model.limits import describe_limits
from roi_ray.preference.model.preference_model import PreferenceModel


def describe_model(model: PreferenceModel, scores: SweepScores) -> list[str]:
    """Describe a model and its limits.

    Args:
        model: the model.
        scores: the scores that it is applied to.
    """
    name = model.identity.get("name", "a model without a name")
    notes = [
        f"These are predictions of a preference model ({name}), not answers of people.",
        describe_limits(model),
    ]
    if scores.run is None:
        notes.append(
            "The scores do not say which weights and settings they were made with, so it is not "
            "known whether they fit the model."
        )
    return notes


def describe_mismatch(model: PreferenceModel, run: Run | None) -> str | None:
    """Say in one sentence why scores do not fit a model; None if they do, or if it is unknown.

    Args:
        model: the model.
        run: record of the run that made the scores; None if there is none.
    """
    if run is None:
        return None
    ours = describe_provenance(run["config"], run.get("scoring_version"))
    try:
        model.check_provenance(ours, "of the scores")
    except ManifestError:
        theirs = model.provenance[schema.SCORED_WITH]
        return (
            "The preference model was trained on scores of other weights, settings or versions: "
            f"{_list_differences(ours, theirs)}. Score the images as the model needs it, or train "
            "a model on such scores."
        )
    return None


def _list_differences(scores: str, model: str) -> str:
    return ", ".join(
        f"{name} is {here or 'not known'} here and {there or 'not known'} there"
        for name, here, there in find_differences(scores, model)
    )
