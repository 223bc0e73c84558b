"""What is known of the weights of a preference model of the recipe `roi-ray` before any vote.

The lead of a question is w x: x is the difference of the two images' standardised features, one
weight belongs to each; `posterior` says what votes tell about the weights.

The prior is the model that one begins with: its weights are the mean. A model does not carry the
images that it was trained on, so that only the recipe's ridge is known of the precision that its
training left: `weight_decay` times the number of its comparisons, for each weight. So one begins
less sure than the training was, which costs a few votes about what was known; to guess more would
spare votes about what was not. Without a model (`none`), the weights have mean 0 and a standard
deviation of one logit per spread, and the features of all questions give the spreads.

That weights are 0 or more is left out here: the posterior decides what to ask, not what to predict.

What needs torch is imported where it is used, so that fits in other processes start without it.
"""

import numpy as np
import pyarrow as pa

from roi_ray.errors import ManifestError, UsageError
from roi_ray.preference.model.recipes import DEFAULT_RECIPE, RECIPES
from roi_ray.votes.asking.beliefs import Belief, Floats

NO_MODEL = "none"
"""Instead of the name of a model: begin without one."""

_NAME = "to ask about"
_BLANK_PRECISION = 1.0


def prepare_weights(table: pa.Table, model: str) -> tuple[Floats, Belief]:
    """Turn questions into differences of features, and a model into the prior of its weights.

    Args:
        table: N questions with feature columns, as `roi-ray compare` adds them.
        model: name, path or URI of a preference model with F features; or `none`.

    Returns:
        differences of standardised features, (N, F), NaN where a feature is missing; the prior.

    Raises:
        ManifestError: a feature's column is missing, no question has all features, or they were
            made by other weights or settings than those of the model.
        UsageError: the model is not one of the recipe `roi-ray`.
        WeightsError: the model cannot be read.
    """
    if model == NO_MODEL:
        return _prepare_without_model(table)
    from roi_ray.preference.comparisons.provenance import features_provenance
    from roi_ray.preference.model.networks import LinearUtility
    from roi_ray.preference.model.preference_model import load_preference_model
    from roi_ray.preference.model.recipes import UtilityRecipe

    loaded = load_preference_model(model)
    if not isinstance(loaded.network, LinearUtility) or not isinstance(
        loaded.recipe, UtilityRecipe
    ):
        raise UsageError(
            f"the model {model} is not of the recipe {DEFAULT_RECIPE}: how sure it is of its "
            "weights is not known, so that it cannot choose questions"
        )
    a, b = _read_features(table, loaded.features)
    loaded.check_provenance(features_provenance(table, _NAME), _NAME)
    x = (loaded.scale(a, loaded.features) - loaded.scale(b, loaded.features)).numpy()
    rows = (loaded.provenance.get("comparisons") or {}).get("rows", 0)
    precision = max(rows * loaded.recipe.weight_decay, _BLANK_PRECISION)
    weights = loaded.network.linear.detach().numpy()[0].astype(np.float64)
    return x, Belief(weights, np.eye(len(weights)) / precision)


def _prepare_without_model(table: pa.Table) -> tuple[Floats, Belief]:
    from roi_ray.preference.comparisons.examples import Examples
    from roi_ray.preference.comparisons.provenance import features_provenance
    from roi_ray.preference.model.scale import Scale

    recipe = RECIPES[DEFAULT_RECIPE]
    a, b = _read_features(table, recipe.features)
    features_provenance(table, _NAME)
    complete = np.isfinite(a).all(1) & np.isfinite(b).all(1)
    rows = np.count_nonzero(complete)
    nothing = np.zeros(rows)
    examples = Examples(
        recipe.features, a[complete], b[complete], nothing, nothing, nothing.astype(np.int64)
    )
    scale = Scale.fit(examples, recipe)
    x = (scale(a, recipe.features) - scale(b, recipe.features)).numpy()
    size = len(recipe.features)
    return x, Belief(np.zeros(size), np.eye(size) / _BLANK_PRECISION)


def _read_features(table: pa.Table, features: tuple[str, ...]) -> tuple[Floats, Floats]:
    from roi_ray.preference.comparisons.features import check_features
    from roi_ray.preference.comparisons.regions import feature_arrays

    check_features(table, features, _NAME)
    a, b = feature_arrays(table, features)
    if not (np.isfinite(a).all(1) & np.isfinite(b).all(1)).any():
        raise ManifestError(
            "no question has all features of the preference model, so that it cannot say what to "
            "ask next: add them with `roi-ray compare`, or ask in random order"
        )
    return a, b
