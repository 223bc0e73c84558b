"""The features of a sweep's cells as a preference model sees them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from roi_ray import schema
from roi_ray.decision.sweep_scores import Floats, SweepScores
from roi_ray.preference.regions import basic_feature, is_empty


def read_features(scores: SweepScores, codec: str, features: Sequence[str]) -> Floats:
    """Read the features of a codec's cells as a preference model sees them.

    Images without a region of interest take the metric of the whole image in place of that under
    the mask.

    Returns:
        features, (images, K, F); NaN where there is no number.
    """
    lacking = find_images_without_region(scores)[:, None]
    columns = []
    for feature in features:
        values = scores.values(codec, feature)
        if (basic := basic_feature(feature)) != feature and lacking.any():
            values = np.where(lacking, scores.values(codec, basic), values)
        columns.append(values)
    return np.stack(columns, -1)


def find_images_without_region(scores: SweepScores) -> NDArray[np.bool_]:
    """Mark the images of which a cell has an empty mask, (images,)."""
    lacking = np.zeros(len(scores.images), np.bool_)
    if schema.ROI_FRACTION in scores.column_names:
        for codec in scores.codecs:
            lacking |= is_empty(scores.values(codec, schema.ROI_FRACTION)).any(1)
    return lacking
