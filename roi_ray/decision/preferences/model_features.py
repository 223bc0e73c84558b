"""Numbers of a sweep's cells for some images, as they are and as a preference model sees them.

Columns are read one after the other, each for all codecs, as large scores are kept by column.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from roi_ray import schema
from roi_ray.decision.pchip import Floats
from roi_ray.decision.score_table import SweepScores
from roi_ray.preference.comparisons.regions import basic_feature, is_empty

Ints = NDArray[np.int64]


def read_values(
    scores: SweepScores, codecs: Sequence[str], names: Sequence[str], images: Ints
) -> dict[str, Floats]:
    """Read columns of some images.

    Args:
        scores: scores of a sweep.
        codecs: codecs to read.
        names: M columns to read.
        images: numbers of the images, (I,).

    Returns:
        numbers by codec, (I, K, M); NaN where there is none, or no such column.
    """
    columns = [{codec: _read(scores, codec, name, images) for codec in codecs} for name in names]
    return {codec: np.stack([column[codec] for column in columns], -1) for codec in codecs}


def _read(scores: SweepScores, codec: str, name: str, images: Ints) -> Floats:
    if name not in scores.column_names:
        return np.full((len(images), scores.codecs[codec].rows.shape[1]), np.nan)
    return scores.values(codec, name)[images]


def read_features(
    scores: SweepScores, codecs: Sequence[str], features: Sequence[str], images: Ints
) -> dict[str, Floats]:
    """Read the features of some images as a preference model sees them.

    Images without a region of interest take the metric of the whole image in place of that under
    the mask. For arguments and result see `read_values`.
    """
    lacking = find_images_without_region(scores)[images]
    found = read_values(scores, codecs, features, images)
    if lacking.any():
        basic = read_values(scores, codecs, [basic_feature(name) for name in features], images)
        for codec in codecs:
            found[codec][lacking] = basic[codec][lacking]
    return found


def find_images_without_region(scores: SweepScores) -> NDArray[np.bool_]:
    """Mark the images of which a cell has an empty mask, (images,)."""
    lacking = np.zeros(len(scores.images), np.bool_)
    if schema.ROI_FRACTION in scores.column_names:
        for codec in scores.codecs:
            lacking |= is_empty(scores.values(codec, schema.ROI_FRACTION)).any(1)
    return lacking
