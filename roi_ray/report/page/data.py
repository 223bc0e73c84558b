"""The numbers behind the page's charts, as JSON values."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from roi_ray import schema
from roi_ray.decision.all_savings import read_points
from roi_ray.decision.curves import MeanCurve, average_curves
from roi_ray.decision.decide import Decision
from roi_ray.decision.pchip import Floats
from roi_ray.decision.points import name_unit
from roi_ray.decision.resampling import Estimate
from roi_ray.decision.savings import Saving, Savings
from roi_ray.decision.words import name_band
from roi_ray.report.page.preferences import build_preference_data
from roi_ray.report.page.tables import order_codecs
from roi_ray.report.page.text import (
    MINUS,
    base_metric,
    describe_metric,
    is_roi,
    label_metric,
    name_images,
    round_number,
)
from roi_ray.report.page.times import build_time_data
from roi_ray.runtime.words import count_noun

MAX_IMAGES = 200
"""The most images with curves and BD-rates of their own in the page."""

_MAX_NUMBERS = 200_000  # of the curves of single images, about 1.5 MB


def build_data(decision: Decision) -> dict[str, Any]:
    """Collect the numbers of all charts but those of the table of cells.

    Returns:
        JSON values. Codecs are in the order of `order_codecs`; lists by codec have that order.
        Numbers that are missing or not valid are None.
    """
    codecs = order_codecs(decision)
    images = choose_images(decision, codecs)
    names = name_images(decision.scores.images)
    alphabetical = sorted(codecs)
    return {
        "anchor": decision.anchor,
        "codecs": [{"name": name, "style": alphabetical.index(name)} for name in codecs],
        "metrics": [_describe(metric) for metric in decision.metrics],
        "images": [names[i] for i in images],
        "imageCount": len(names),
        "imageNote": describe_images(len(images), len(names)),
        "curves": {m: _mean_curves(decision, codecs, m) for m in decision.metrics},
        "single": {
            "rates": [
                [_numbers(row) for row in decision.scores.bit_rates(codec)[images]]
                for codec in codecs
            ],
            "values": {m: _quality_by_image(decision, codecs, m, images) for m in decision.metrics},
        },
        "savings": {
            m: [_saving(decision.savings.get((c, m)), images) for c in codecs]
            for m in decision.metrics
        },
        "preference": build_preference_data(decision.preference, codecs),
        "times": build_time_data(decision.times, codecs),
        "bands": [
            {"name": name_band(band), "savings": _estimates(savings, codecs, decision.metrics)}
            for band, savings in decision.bands.items()
        ],
        "groups": [
            {
                "column": column,
                "name": value,
                "savings": _estimates(savings, codecs, decision.metrics),
            }
            for (column, value), savings in decision.groups.items()
        ],
    }


def choose_images(decision: Decision, codecs: Sequence[str]) -> list[int]:
    """Choose the images that the page shows one by one.

    All of them if there is room; else those in which the BD-rates of the codecs differ most by the
    deciding metric.
    """
    scores = decision.scores
    points = sum(scores.codecs[codec].rows.shape[1] for codec in codecs if codec in scores.codecs)
    room = _MAX_NUMBERS // max(1, points * (1 + len(decision.metrics)))
    limit, total = max(5, min(MAX_IMAGES, room)), len(scores.images)
    if total <= limit:
        return list(range(total))
    parts = [s.per_image for (_, m), s in decision.savings.items() if m == decision.metrics[0]]
    if not parts:
        return list(range(limit))
    rates = np.vstack([*parts, np.zeros(total)])  # the anchor's BD-rate is 0
    spread = np.nanmax(rates, axis=0) - np.nanmin(rates, axis=0)
    return sorted(np.argsort(-spread, kind="stable")[:limit].tolist())


def describe_images(shown: int, total: int) -> str:
    """Say which images can be shown one by one."""
    if shown == total:
        return f"All {count_noun(total, 'image')} can be shown one by one."
    return (
        f"{shown:,} of {total:,} images can be shown one by one: those in which the codecs' "
        "BD-rates by the deciding metric differ most. All averages are over all images."
    )


def _describe(metric: str) -> dict[str, Any]:
    unit, text = name_unit(metric), describe_metric(metric)
    if unit != schema.MEANINGS[metric].unit and unit == "dB":
        text += f". Here in dB: {MINUS}10 log10(1 {MINUS} {label_metric(metric)})"
    return {
        "name": metric,
        "label": label_metric(metric),
        "base": base_metric(metric),
        "roi": is_roi(metric),
        "unit": unit,
        "better": schema.MEANINGS[metric].better,
        "text": text,
    }


def _mean_curves(decision: Decision, codecs: Sequence[str], metric: str) -> list[Any]:
    """Return the mean curve of each codec; of one without points only the reason."""
    curves = average_curves(decision.scores, metric, codecs=codecs)
    return [_curve(curves[codec]) for codec in codecs]


def _curve(curve: MeanCurve) -> dict[str, Any]:
    if curve.reason:
        return {"reason": curve.reason}
    return {
        "images": curve.images,
        "leftOut": curve.left_out,
        "names": curve.names,
        "rates": [round_number(each.value) for each in curve.rates],
        "values": [round_number(each.value) for each in curve.quality],
        "low": [round_number(each.low) for each in curve.quality],
        "high": [round_number(each.high) for each in curve.quality],
    }


def _quality_by_image(
    decision: Decision, codecs: Sequence[str], metric: str, images: Sequence[int]
) -> list[Any]:
    """Return the quality of each codec, image and point, in the unit of the mean curves."""
    points = [read_points(decision.scores, codec, metric) for codec in codecs]
    return [[_numbers(row) for row in each.distinct[0][list(images)]] for each in points]


def _saving(saving: Saving | None, images: Sequence[int]) -> dict[str, Any] | None:
    """Return the BD-rates of one codec; None for the anchor."""
    if saving is None:
        return None
    valid = saving.per_image[np.isfinite(saving.per_image)]
    return {
        "mean": _estimate(saving.mean),
        "reason": saving.reason,
        "box": _numbers(np.quantile(valid, (0, 0.25, 0.5, 0.75, 1))) if len(valid) > 1 else None,
        "valid": saving.valid,
        "perImage": _numbers(saving.per_image[list(images)]),
    }


def _estimates(
    savings: Savings, codecs: Sequence[str], metrics: Sequence[str]
) -> Mapping[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for metric in metrics:
        found[metric] = []
        for codec in codecs:
            saving = savings.get((codec, metric))
            found[metric].append(
                saving
                and {
                    "mean": _estimate(saving.mean),
                    "reason": saving.reason,
                    "valid": saving.valid,
                    "images": len(saving.per_image),
                }
            )
    return found


def _estimate(estimate: Estimate | None) -> list[float | None] | None:
    if estimate is None:
        return None
    return [round_number(n) for n in (estimate.value, estimate.low, estimate.high)]


def _numbers(values: Floats) -> list[float | None]:
    return [round_number(float(value)) for value in values]
