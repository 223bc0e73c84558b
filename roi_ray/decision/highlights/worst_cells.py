"""Cells that are unusually bad for their codec at their point."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from roi_ray import schema
from roi_ray.decision.score_table import SweepScores
from roi_ray.preference.statistics.intervals import MIN_REFERENCES

MIN_Z = 2.5
"""The least z-score that is called unusual. Of normal numbers, one in 160 has it."""

_MAD_TO_STD = 1.4826  # standard deviation over median absolute deviation of a normal distribution


@dataclass(frozen=True)
class WorstCell:
    """A cell that is unusually bad for its codec at its point.

    Attributes:
        codec: the codec.
        point: name of the point, such as `quality=35`.
        image: the `reference` of the image, as written.
        row: row number in the scores.
        metric: metric that says so.
        value: what the cell has of it.
        median: what the codec's cells of all images have at this point, median.
        z: distance from the median in robust standard deviations (1.4826 times the median absolute
            deviation); the larger, the worse.
    """

    codec: str
    point: str
    image: str
    row: int
    metric: str
    value: float
    median: float
    z: float


def find_worst_cells(
    scores: SweepScores, codecs: Sequence[str], metrics: Sequence[str]
) -> Iterator[WorstCell]:
    """Find the worst cell of each image and codec by the first metric, if it is unusually bad.

    Points that were made for a value of the metric itself, such as `ssimulacra2=70`, and points
    with numbers of fewer than `MIN_REFERENCES` images have no unusual cells.

    Args:
        scores: scores of a sweep. Where they do not name the points, there is nothing to compare.
        codecs: codecs to look at.
        metrics: metrics, the deciding one first; only this one is looked at.
    """
    metric = metrics[0]
    sign = 1 if schema.MEANINGS[metric].better == "higher" else -1
    for codec in codecs:
        points = scores.codecs[codec]
        if points.names is None:
            continue
        values = scores.values(codec, metric)
        comparable = np.isfinite(values).sum(0) >= MIN_REFERENCES
        comparable &= [not name.startswith(f"{metric}=") for name in points.names]
        kept = np.flatnonzero(comparable)
        if not len(kept):
            continue
        values = values[:, kept]
        median = np.nanmedian(values, 0)
        deviation = _MAD_TO_STD * np.nanmedian(np.abs(values - median), 0)
        usual = np.where(deviation > 0, deviation, np.nan)
        z = np.nan_to_num(sign * (median - values) / usual, nan=-np.inf)
        worst = z.argmax(1)
        for image in np.flatnonzero(z.max(1) >= MIN_Z):
            point = worst[image]
            yield WorstCell(
                codec=codec,
                point=points.names[kept[point]],
                image=scores.images[image],
                row=int(points.rows[image, kept[point]]),
                metric=metric,
                value=float(values[image, point]),
                median=float(median[point]),
                z=float(z[image, point]),
            )
