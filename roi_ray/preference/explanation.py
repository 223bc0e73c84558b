"""Explain a prediction: which measurements say which of two images people prefer."""

import math
from collections.abc import Iterable, Sequence

import numpy as np

from roi_ray.preference.comparisons.regions import is_basic, scores_features
from roi_ray.preference.groups import GROUPS, OTHER, group_of
from roi_ray.preference.model.limits import describe_limits
from roi_ray.preference.model.networks import FAR
from roi_ray.preference.model.preference_model import PreferenceModel
from roi_ray.preference.model.scale import Scale
from roi_ray.preference.pair_preference import Contribution, GroupContribution, PairPreference
from roi_ray.schema import Scores
from roi_ray.settings import EMPTY_MEAN

_MAX_LOGIT = 28.0
"""Logit of the largest probability below 1 that a model gives: they are multiples of 2^-40."""

_NAMED = 4
"""Columns that a warning names at most."""


def explain_pair(model: PreferenceModel, a: Scores, b: Scores) -> PairPreference:
    """Predict which of two images people prefer, and say which measurements decide it.

    Args:
        model: the model.
        a: scores of the first image, made as the model needs it; see `needs.check_scoring`.
        b: scores of the second image.

    Raises:
        UsageError: the scores lack a metric that the model needs; see `needs.add_needs`.
    """
    probability = float(model.predict([a], [b])[0])
    contributions: tuple[Contribution, ...] | None = None
    logit, groups, unexplained = _to_logit(probability), None, None
    if model.is_additive:
        contributions = _list_contributions(model, a, b)
        logit = math.fsum(each.logit for each in contributions)
        groups = _sum_groups(contributions)
    else:
        unexplained = (
            f"This model ({model.recipe.network}) is not a sum over its measurements, so that it "
            "is not known which of them decides."
        )
    return PairPreference(
        probability=probability,
        logit=logit,
        contributions=contributions,
        groups=groups,
        unexplained=unexplained,
        without_region=min(a.roi_fraction, b.roi_fraction) < EMPTY_MEAN,
        warnings=tuple(_find_extrapolation(model, a, b)),
        limits=describe_limits(model),
        scores_a=a,
        scores_b=b,
        model=model.identity,
    )


def _to_logit(probability: float) -> float:
    """Compute the logit of a probability, ±28 at most; of 1 - p, it is exactly the opposite."""
    if min(probability, 1 - probability) < math.exp(-_MAX_LOGIT):
        return math.copysign(_MAX_LOGIT, probability - 0.5)
    return math.log(probability) - math.log(1 - probability)


def _list_contributions(model: PreferenceModel, a: Scores, b: Scores) -> tuple[Contribution, ...]:
    values = (side[0].tolist() for side in scores_features([a], [b], model.features))
    shares = model.explain([a], [b])[0].tolist()
    columns = map(Contribution, model.features, *values, shares)
    return tuple(sorted(columns, key=lambda each: -abs(each.logit)))


def _sum_groups(contributions: Sequence[Contribution]) -> tuple[GroupContribution, ...]:
    """Sum contributions by group, in the order of `GROUPS`."""
    groups = []
    for group in (*GROUPS, OTHER):
        members = [each for each in contributions if group_of(each.column) == group]
        if members:
            whole, region = (
                math.fsum(each.logit for each in members if is_basic(each.column) == whole)
                for whole in (True, False)
            )
            columns = tuple(each.column for each in members if each.logit)
            groups.append(GroupContribution(group, columns, whole, region))
    return tuple(groups)


def _find_extrapolation(model: PreferenceModel, a: Scores, b: Scores) -> Iterable[str]:
    """Say in which columns the images are far from those of the training.

    Values under the mask depend on its size, so that only differences between the two images count
    there.
    """
    apart, outside = _find_far(model.features, model.scale, a, b)
    if apart:
        yield (
            "The probability is an extrapolation: the images are further apart than almost all "
            f"pairs of the training, in {_name_some(apart)}."
        )
    if outside:
        yield (
            "The probability is an extrapolation: an image is far from those of the training, in "
            f"{_name_some(outside)}."
        )


def _find_far(
    features: tuple[str, ...], scale: Scale, a: Scores, b: Scores
) -> tuple[list[str], list[str]]:
    """List features in which the images are far apart, and where one is far from the training."""
    x_a, x_b = (scale(side, features).numpy()[0] for side in scores_features([a], [b], features))
    apart = np.abs(x_a - x_b) > FAR
    whole = np.array([is_basic(name) for name in features], np.bool_)
    outside = whole & (np.maximum(np.abs(x_a), np.abs(x_b)) > FAR)
    names = np.array(features, str)
    return names[apart].tolist(), names[outside].tolist()


def _name_some(columns: Sequence[str]) -> str:
    more = len(columns) - _NAMED
    return ", ".join(columns[:_NAMED]) + (f" and {more} more" if more > 0 else "")
