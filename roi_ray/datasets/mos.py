"""Mean opinion scores turned into comparisons.

Of one reference's images, all pairs are taken whose scores differ by more than
`min_standard_errors` of the difference's standard error, sqrt(se_a^2 + se_b^2): of the others
nobody knows which is better. The label is Thurstone's,

    p_a = Phi((score_a - score_b) / sqrt(se_a^2 + se_b^2)):

the probability that people on average prefer a, given how well the two scores are known. It is
*not* the share of people who would: that needs the spread of single opinions, which not all sets
publish. With the default of two standard errors it is beyond 0.977, or below 0.023.

Which image is `a` is decided by a hash of the names, so the order says nothing of the answer.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from roi_ray import schema
from roi_ray.datasets.candidate_order import becomes_a
from roi_ray.datasets.import_report import ImportReport, attach_import_report, explain_empty_import
from roi_ray.datasets.label_direction import check_label_direction
from roi_ray.errors import ManifestError
from roi_ray.preference.comparisons import check_comparisons

MIN_STANDARD_ERRORS = 2.0


@dataclass(frozen=True)
class RatedImage:
    """A distorted image and what people said of it.

    Attributes:
        reference, distorted: URIs.
        score: higher is better.
        error: standard error of the score.
        kind: of distortion; None where its levels are not in the order of quality.
        level: of distortion, higher is worse; the answers are held against it within one kind.
    """

    reference: str
    distorted: str
    score: float
    error: float
    kind: str | None = None
    level: int = 0


def pair_rated_images(
    dataset: str, folder: str, rated: Sequence[RatedImage], min_standard_errors: float
) -> pa.Table:
    """Comparisons of images of the same reference.

    Args:
        dataset: its name.
        folder: where it was read from.
        rated: its images, in any order.
        min_standard_errors: by which the scores of a pair must differ.

    Raises:
        ManifestError: an image that is rated twice, no pair that differs enough, or answers that
            contradict the levels of distortion.
    """
    if not (math.isfinite(min_standard_errors) and min_standard_errors >= 0):
        raise ManifestError(f"min_standard_errors is {min_standard_errors}, not 0 or more")
    seen: set[str] = set()
    by_reference: dict[str, list[int]] = {}
    for index, image in enumerate(rated):
        if image.distorted in seen:
            raise ManifestError(f"{dataset}: {image.distorted} is rated twice")
        seen.add(image.distorted)
        by_reference.setdefault(image.reference, []).append(index)
    score, error = (np.array([getattr(r, n) for r in rated]) for n in ("score", "error"))
    pairs = [_pairs(np.array(m), score, error, min_standard_errors) for m in by_reference.values()]
    a, b = np.concatenate([np.empty((2, 0), dtype=np.int64), *pairs], axis=1)
    close = sum(len(m) * (len(m) - 1) // 2 for m in by_reference.values()) - len(a)
    dropped = {"pairs with scores too close to tell": close}
    settings = {"min_standard_errors": min_standard_errors}
    if not len(a):
        raise ManifestError(explain_empty_import(ImportReport(dataset, folder, dropped)))
    turned = [
        not becomes_a(*(rated[at].distorted.removeprefix(folder) for at in pair))
        for pair in zip(a, b, strict=True)
    ]
    a, b = np.where(turned, b, a), np.where(turned, a, b)
    p_a = _normal_cdf(score[a] - score[b], np.hypot(error[a], error[b]))
    polarity = check_label_direction(
        dataset,
        "distortion level, within one kind of distortion",
        p_a,
        [_advantage(rated[i], rated[j]) for i, j in zip(a, b, strict=True)],
    )
    table = pa.table(
        {
            schema.REFERENCE: pa.array([r.reference for r in rated]).take(pa.array(a)),
            schema.A: pa.array([r.distorted for r in rated]).take(pa.array(a)),
            schema.B: pa.array([r.distorted for r in rated]).take(pa.array(b)),
            schema.P_A: p_a,
            schema.DATASET: pa.repeat(dataset, len(a)),
        }
    )
    report = ImportReport(dataset, folder, dropped, direction_checks=(polarity,), settings=settings)
    return attach_import_report(check_comparisons(table, dataset), report)


def _pairs(
    members: NDArray[np.int64],
    score: NDArray[np.float64],
    error: NDArray[np.float64],
    min_standard_errors: float,
) -> NDArray[np.int64]:
    """(2, N) indices of the pairs of one reference that differ enough."""
    first, second = np.triu_indices(len(members), 1)
    i, j = members[first], members[second]
    apart = np.abs(score[i] - score[j]) > min_standard_errors * np.hypot(error[i], error[j])
    return np.stack([i[apart], j[apart]])


def _normal_cdf(
    differences: NDArray[np.float64], errors: NDArray[np.float64]
) -> NDArray[np.float64]:
    # Scores that are known exactly (all people said the same) differ for certain.
    certain = errors == 0
    z = np.where(certain, np.sign(differences) * np.inf, differences / np.where(certain, 1, errors))
    return np.array([0.5 * math.erfc(-value / math.sqrt(2)) for value in z])


def _advantage(a: RatedImage, b: RatedImage) -> int:
    return b.level - a.level if a.kind is not None and a.kind == b.kind else 0
