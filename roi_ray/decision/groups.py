"""Groups of images by a column that the scores carry, such as the kind of content."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from roi_ray.decision.score_table import SweepScores
from roi_ray.errors import ManifestError, UsageError

UNKNOWN = "unknown"
MAX_GROUPS = 50

Images = NDArray[np.intp]


def group_images(scores: SweepScores, columns: Sequence[str]) -> dict[tuple[str, str], Images]:
    """Group the images of a sweep by columns.

    Args:
        scores: the scores.
        columns: columns with one value per image; rows without a value do not count.

    Returns:
        numbers of the images by column and value, in the order of the values; images without a
        value are the group `unknown`.

    Raises:
        UsageError: a column does not exist, or has more than `MAX_GROUPS` values.
        ManifestError: the rows of an image have different values.
    """
    groups: dict[tuple[str, str], Images] = {}
    for column in dict.fromkeys(columns):
        if column not in scores.column_names:
            names = ", ".join(scores.column_names)
            raise UsageError(f"{scores.uri} has no column {column!r} to group by; it has {names}")
        for value, images in _group_by_column(scores, column).items():
            groups[column, value] = images
    return groups


def _group_by_column(scores: SweepScores, column: str) -> dict[str, Images]:
    codes, values = scores.categories(column)
    by_image = np.full(len(scores.images), -1)
    known = (codes >= 0) & (scores.image_numbers >= 0)
    by_image[scores.image_numbers[known]] = codes[known]
    different = known & (codes != by_image[scores.image_numbers])
    if different.any():
        row = int(np.flatnonzero(different)[0])
        image = scores.image_numbers[row]
        raise ManifestError(
            f"column {column!r} has different values for the image {scores.images[image]}: "
            f"{values[codes[row]]!r} and {values[by_image[image]]!r}; groups need one per image"
        )
    if UNKNOWN in values:
        by_image[by_image < 0] = values.index(UNKNOWN)
    used = np.unique(by_image)
    if len(used) > MAX_GROUPS:
        raise UsageError(
            f"column {column!r} has {len(used)} different values; group by a column with "
            f"{MAX_GROUPS} at most"
        )
    names = {UNKNOWN if code < 0 else values[code]: code for code in used}
    order = sorted(names, key=lambda name: (name == UNKNOWN, name))
    return {name: np.flatnonzero(by_image == names[name]) for name in order}
