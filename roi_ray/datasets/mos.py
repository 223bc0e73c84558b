"""Turn mean opinion scores into comparisons.

All pairs of images of one reference become comparisons if their scores differ by more than
`min_standard_errors` times the standard error of the difference, sqrt(se_a^2 + se_b^2). The other
pairs are left out: their scores do not say which image is better. The label is Thurstone's,

    p_a = Phi((score_a - score_b) / sqrt(se_a^2 + se_b^2)):

the probability that people on average prefer `a`, given how precisely the two scores are known. It
is *not* the share of people who prefer `a`: that needs the spread of single opinions, which not all
data sets publish. With the default of two standard errors, every label is above 0.977 or below
0.023.

A hash of the names decides which image becomes `a`, so the order does not give the answer away.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from roi_ray import schema
from roi_ray.datasets.candidate_order import becomes_a
from roi_ray.datasets.import_report import ImportReport, attach_import_report, explain_empty_import
from roi_ray.datasets.label_direction import DirectionCheck, check_label_direction
from roi_ray.errors import ManifestError, UsageError
from roi_ray.preference.comparisons.table import check_comparisons

MIN_STANDARD_ERRORS = 2.0


@dataclass(frozen=True)
class RatedImage:
    """A distorted image and its mean opinion score.

    Attributes:
        reference: URI of the reference.
        distorted: URI of the distorted image.
        score: mean opinion score; higher is better.
        error: standard error of the score.
        kind: kind of distortion; None if the levels of this kind are not in the order of quality.
        level: level of distortion; higher is worse. Labels are checked against it within a kind.
    """

    reference: str
    distorted: str
    score: float
    error: float
    kind: str | None = None
    level: int = 0


def pair_rated_images(
    dataset: str, folder: str, images: Sequence[RatedImage], min_standard_errors: float
) -> pa.Table:
    """Build comparisons from the scores of images of the same reference.

    Args:
        dataset: name of the data set.
        folder: folder that was read.
        images: the rated images, in any order.
        min_standard_errors: number of standard errors by which the scores of a pair must differ.

    Returns:
        Checked comparisons with their import report.

    Raises:
        UsageError: `min_standard_errors` is negative or not finite.
        ManifestError: an image is rated twice, no pair differs enough, or the labels contradict the
            levels of distortion.
    """
    if not (math.isfinite(min_standard_errors) and min_standard_errors >= 0):
        raise UsageError(f"min_standard_errors is {min_standard_errors}, not 0 or more")
    groups = _group_by_reference(dataset, images)
    scores = np.array([image.score for image in images])
    errors = np.array([image.error for image in images])
    pairs = [_find_distinct_pairs(group, scores, errors, min_standard_errors) for group in groups]
    a, b = np.concatenate([np.empty((2, 0), dtype=np.int64), *pairs], axis=1)
    close = sum(len(group) * (len(group) - 1) // 2 for group in groups) - len(a)
    report = ImportReport(
        dataset,
        folder,
        dropped={"pairs with scores too close to tell": close},
        settings={"min_standard_errors": min_standard_errors},
    )
    if not len(a):
        raise ManifestError(explain_empty_import(report))
    a, b = _order_pairs(folder, images, a, b)
    p_a = _normal_cdf(scores[a] - scores[b], np.hypot(errors[a], errors[b]))
    direction = _check_levels(dataset, images, a, b, p_a)
    distorted = pa.array([image.distorted for image in images])
    table = pa.table(
        {
            schema.REFERENCE: pa.array([image.reference for image in images]).take(pa.array(a)),
            schema.A: distorted.take(pa.array(a)),
            schema.B: distorted.take(pa.array(b)),
            schema.P_A: p_a,
            schema.DATASET: pa.repeat(dataset, len(a)),
        }
    )
    return attach_import_report(
        check_comparisons(table, dataset), replace(report, direction_checks=(direction,))
    )


def _group_by_reference(dataset: str, images: Sequence[RatedImage]) -> list[NDArray[np.int64]]:
    """Group the indices of the images by reference."""
    seen: set[str] = set()
    groups: dict[str, list[int]] = {}
    for index, image in enumerate(images):
        if image.distorted in seen:
            raise ManifestError(f"{dataset}: {image.distorted} is rated twice")
        seen.add(image.distorted)
        groups.setdefault(image.reference, []).append(index)
    return [np.array(group) for group in groups.values()]


def _find_distinct_pairs(
    group: NDArray[np.int64],
    scores: NDArray[np.float64],
    errors: NDArray[np.float64],
    min_standard_errors: float,
) -> NDArray[np.int64]:
    """Index pairs of one reference whose scores differ enough, (2, N)."""
    first, second = np.triu_indices(len(group), 1)
    i, j = group[first], group[second]
    distinct = np.abs(scores[i] - scores[j]) > min_standard_errors * np.hypot(errors[i], errors[j])
    return np.stack([i[distinct], j[distinct]])


def _order_pairs(
    folder: str, images: Sequence[RatedImage], a: NDArray[np.int64], b: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Swap pairs so that the hash of the paths in the data set decides which image is `a`."""
    paths = [image.distorted.removeprefix(folder) for image in images]
    keep = [becomes_a(paths[i], paths[j]) for i, j in zip(a, b, strict=True)]
    return np.where(keep, a, b), np.where(keep, b, a)


def _check_levels(
    dataset: str,
    images: Sequence[RatedImage],
    a: NDArray[np.int64],
    b: NDArray[np.int64],
    p_a: NDArray[np.float64],
) -> DirectionCheck:
    """Compare the labels with the distortion levels of pairs of the same kind of distortion."""
    advantage = []
    for i, j in zip(a, b, strict=True):
        same_kind = images[i].kind is not None and images[i].kind == images[j].kind
        advantage.append(images[j].level - images[i].level if same_kind else 0)
    hint = "distortion level, within one kind of distortion"
    return check_label_direction(dataset, hint, p_a, advantage)


def _normal_cdf(
    differences: NDArray[np.float64], errors: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Compute Phi(difference / error); 0 or 1 where the error is 0 because all people agreed."""
    exact = errors == 0
    z = np.where(exact, np.sign(differences) * np.inf, differences / np.where(exact, 1, errors))
    return np.array([0.5 * math.erfc(-value / math.sqrt(2)) for value in z])
