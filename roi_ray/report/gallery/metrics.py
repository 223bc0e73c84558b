"""The numbers of the cells that the gallery shows, and which of two is better."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from roi_ray import schema
from roi_ray.decision.choices import DEFAULT_METRICS
from roi_ray.decision.score_table import SweepScores
from roi_ray.report.page.text import base_metric, label_metric

_DECIMALS = {"psnr": 2, "ms_ssim": 4, "lpips": 4, "d_loss": 3, "ssimulacra2": 2, "ssimulacra2_y": 2}


@dataclass(frozen=True)
class MetricRow:
    """A metric of the one or two cells that are shown.

    Attributes:
        label: name of the metric.
        meaning: what it measures.
        direction: `higher` or `lower`: which numbers are better.
        values: number of A, and of B where there is one, as text; a dash where there is none.
        better: 0 if A is better, 1 if B is; None where they are equal as shown, or one is missing.
    """

    label: str
    meaning: str
    direction: schema.Direction
    values: tuple[str, ...]
    better: int | None


def choose_metrics(scores: SweepScores, metrics: Sequence[str] | None) -> tuple[str, ...]:
    """Choose the metrics to show: those named, or the usual ones, as far as they were measured."""
    wanted = DEFAULT_METRICS if metrics is None else metrics
    return tuple(name for name in wanted if name in scores.metrics)


def compare_metrics(
    rows: Sequence[Mapping[str, Any]], metrics: Sequence[str]
) -> tuple[MetricRow, ...]:
    """Compare one or two rows of scores by each metric."""
    return tuple(_compare(name, [row.get(name) for row in rows]) for name in metrics)


def format_bit_rate(row: Mapping[str, Any]) -> str:
    """Format the bits per pixel of a row; an empty text where there are none."""
    bit_rate = row.get(schema.BPP)
    return "" if bit_rate is None else f"{bit_rate:.3f}"


def name_point(scores: SweepScores, codec: str, row: int) -> str:
    """Return what was asked for in a row, such as `quality 35`; empty if the scores do not say."""
    points = scores.codecs[codec]
    if points.names is None:
        return ""
    columns = (points.rows == row).any(axis=0).nonzero()[0]
    if not len(columns):
        return ""
    name, _, value = points.names[columns[0]].partition("=")
    return f"{name} {value.removesuffix('.0')}"


def _compare(name: str, values: Sequence[float | None]) -> MetricRow:
    direction = schema.MEANINGS[name].better
    assert direction is not None  # `SweepScores.metrics` has only metrics of quality
    texts = tuple(_format(name, value) for value in values)
    better = None
    if len(texts) == 2 and None not in values and texts[0] != texts[1]:
        first, second = (float(value) for value in values if value is not None)
        better = int((second > first) == (direction == "higher"))
    return MetricRow(label_metric(name), schema.MEANINGS[name].text, direction, texts, better)


def _format(name: str, value: float | None) -> str:
    if value is None or not math.isfinite(value):
        return "\N{EN DASH}"
    decimals = _DECIMALS.get(base_metric(name))
    if decimals is None:
        number = f"{value:.4g}"
    elif 0 < abs(value) < 10.0 ** (2 - decimals):
        number = f"{value:.3g}"  # small numbers, as under small masks, keep three digits
    else:
        number = f"{value:.{decimals}f}"
    unit = schema.MEANINGS[name].unit
    return number if unit in ("", "1") else f"{number} {unit}"
