"""Predictions about cells of two codecs at equal bit rate."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from roi_ray.decision.pchip import Floats
from roi_ray.decision.preferences.equal_rate import (
    RATES,
    find_matched_pairs,
    find_near_pairs,
    interpolate,
    read_targets,
)
from roi_ray.decision.preferences.model_features import read_features
from roi_ray.decision.score_table import SweepScores
from roi_ray.preference.comparisons.regions import basic_feature
from roi_ray.preference.model.preference_model import PreferenceModel

Images = NDArray[np.int64]
Pair = tuple[str, str]

_MIN_SQUARED_ERROR = 1e-12
"""Squared errors are at least this where logarithms are taken: far below what anyone can see."""


@dataclass(frozen=True)
class Predictions:
    """N predictions about one pair of codecs.

    Attributes:
        codecs: the two codecs.
        image: number of the image, (N,).
        bpp: bit rate at which they are compared, in bits per pixel, (N,).
        share: predicted share of people who prefer the first codec, (N,).
        apart: for real cells, the largest difference of their bit rates, 0.05 for 5 %; None for
            interpolated numbers.
    """

    codecs: Pair
    image: Images
    bpp: Floats
    share: Floats
    apart: float | None


def predict_pairs(
    scores: SweepScores, codecs: Sequence[str], model: PreferenceModel, images: Images
) -> list[Predictions]:
    """Predict the preferences between all pairs of codecs that have a bit rate in common.

    Args:
        scores: scores of a sweep.
        codecs: codecs to compare.
        model: preference model that fits the scores.
        images: numbers of the images to compare.
    """
    at = np.array(RATES)
    rates = {codec: scores.bit_rates(codec)[images] for codec in codecs}
    features = read_features(scores, codecs, model.features, images)
    curves = {
        codec: interpolate_features(rates[codec], features[codec], model.features, at)
        for codec in codecs
    }
    predictions = []
    for a, b in combinations(codecs, 2):
        near = find_near_pairs(rates[a], rates[b])
        matched = find_matched_pairs(scores.codecs[a], scores.codecs[b], near)
        apart = None
        if len(image := matched.image):
            x_a, x_b = features[a][image, matched.a], features[b][image, matched.b]
            bpp = read_targets(scores.codecs[a])[matched.a]
            ratio = rates[a][image, matched.a] / rates[b][image, matched.b]
            apart = float(np.exp(np.abs(np.log(ratio)).max()) - 1)
        else:
            both = np.isfinite(curves[a]).all(-1) & np.isfinite(curves[b]).all(-1)
            image, rate = np.nonzero(both)
            x_a, x_b = curves[a][image, rate], curves[b][image, rate]
            bpp = at[rate]
        share = model.predict(x_a, x_b)
        known = np.isfinite(share)
        if known.any():
            image = images[image]
            predictions.append(Predictions((a, b), image[known], bpp[known], share[known], apart))
    return predictions


def interpolate_features(
    rates: Floats, values: Floats, features: Sequence[str], at: Floats
) -> Floats:
    """Interpolate features of one codec at bit rates, squared errors on a logarithmic scale.

    Args:
        rates: see `interpolate`.
        values: numbers of each cell, (images, K, F), in the features' own units.
        features: names of the features, F.
        at: see `interpolate`.
    """
    is_squared = [basic_feature(name).startswith("mse") for name in features]
    values = values.copy()
    values[..., is_squared] = np.log(np.maximum(values[..., is_squared], _MIN_SQUARED_ERROR))
    found = interpolate(rates, values, at)
    found[..., is_squared] = np.exp(found[..., is_squared])
    return found
