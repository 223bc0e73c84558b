"""BD-rates of all codecs by all metrics: over all images, by band of bit rates, by group."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from roi_ray.decision.bd_rate import BdRates, compare_curves
from roi_ray.decision.groups import Images
from roi_ray.decision.mean_curves import MeanCurves
from roi_ray.decision.points import Points
from roi_ray.decision.rate_curves import Band, Limits, limit_to_band
from roi_ray.decision.resampling import Resamples
from roi_ray.decision.savings import Saving, Savings, summarize
from roi_ray.decision.score_table import SweepScores
from roi_ray.preference.ranking.rank import BAND_EDGES

Group = tuple[str, str]
"""A column of the scores and its value."""

BANDS: tuple[Band, ...] = tuple(pairwise((0.0, *BAND_EDGES, np.inf)))


@dataclass(frozen=True)
class AllSavings:
    """All BD-rates of a sweep; see `Decision`."""

    savings: Savings
    bands: Mapping[Band, Savings]
    groups: Mapping[Group, Savings]


def compute_all_savings(
    scores: SweepScores,
    anchor: str,
    codecs: Sequence[str],
    metrics: Sequence[str],
    draws: Resamples,
    groups: Mapping[Group, tuple[Images, Resamples]],
) -> AllSavings:
    """Compute the BD-rates of all codecs by all metrics.

    Args:
        scores: the scores.
        anchor: the anchor.
        codecs: the other codecs.
        metrics: the metrics.
        draws: resamples of all images.
        groups: groups of images, with resamples of their own.
    """
    savings: dict[tuple[str, str], Saving] = {}
    by_band: dict[Band, dict[tuple[str, str], Saving]] = {band: {} for band in BANDS}
    by_group: dict[Group, dict[tuple[str, str], Saving]] = {group: {} for group in groups}
    for metric in metrics:
        base = read_points(scores, anchor, metric)
        limits = {band: limit_to_band(base.curves, band) for band in BANDS}
        for codec in codecs:
            key = codec, metric
            pair = _Pair(codec, base, read_points(scores, codec, metric), draws)
            savings[key] = pair.summarize()
            for band in BANDS:
                by_band[band][key] = pair.summarize_band(band, limits[band])
            for group, (images, group_draws) in groups.items():
                by_group[group][key] = pair.summarize_group(images, group_draws)
    bands = {
        band: found
        for band, found in by_band.items()
        if any(saving.valid for saving in found.values())
    }
    return AllSavings(savings, bands, by_group)


def read_points(scores: SweepScores, codec: str, metric: str) -> Points:
    """Read the points of one codec by one metric."""
    named = scores.codecs[codec].names is not None
    return Points(scores.bit_rates(codec), scores.values(codec, metric), metric, named)


class _Pair:
    """One codec and the anchor by one metric."""

    def __init__(self, codec: str, anchor: Points, other: Points, draws: Resamples) -> None:
        self._codec, self._anchor, self._other, self._draws = codec, anchor, other, draws
        self._found = compare_curves(anchor.curves, other.curves)
        self._means = MeanCurves(anchor, other, draws)

    def summarize(self) -> Saving:
        return self._summarize(self._found, None)

    def summarize_band(self, band: Band, limits: Limits) -> Saving:
        found = compare_curves(self._anchor.curves, self._other.curves, limits)
        return self._summarize(found, band)

    def summarize_group(self, images: Images, draws: Resamples) -> Saving:
        sides = self._anchor.select(images), self._other.select(images)
        return summarize(self._codec, *sides, draws, self._found.select(images))

    def _summarize(self, found: BdRates, band: Band | None) -> Saving:
        return summarize(
            self._codec, self._anchor, self._other, self._draws, found, band, self._means
        )
