"""The decision between codecs as JSON values: null, and a reason, where a number is not valid."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

import roi_ray
from roi_ray.decision.decide import Decision
from roi_ray.decision.savings import Saving, Savings
from roi_ray.decision.times import CodecTimes
from roi_ray.io.json_values import replace_non_finite
from roi_ray.report.text import plain


def decision_to_dict(decision: Decision) -> dict[str, Any]:
    """Turn a decision into JSON values.

    BD-rates are in percent against the anchor; negative means fewer bits. `mean` and `median` are
    of the BD-rates of single images, `mean_curves` is the BD-rate of the mean curves; `low` and
    `high` are the ends of 95 % intervals over images, null where there are too few of these.
    `highest_bpp` of a band is null if it has no end.
    """
    scores = decision.scores
    result = {
        "roi_ray": roi_ray.__version__,
        "scores": scores.uri,
        "verdict": [plain(sentence) for sentence in decision.verdict],
        "notes": list(decision.notes),
        "anchor": decision.anchor,
        "metrics": list(decision.metrics),
        "codecs": list(scores.codecs),
        "images": len(scores.images),
        "rows": scores.row_count,
        "winners": [
            {
                "metric": winner.metric,
                "ranking": list(winner.ranking),
                "not_ranked": dict(winner.unranked),
                "lead_over_second": None if winner.lead is None else asdict(winner.lead),
                "proven": winner.proven,
            }
            for winner in decision.winners.values()
        ],
        "bd_rates": _list_savings(decision.savings, list(scores.images)),
        "bands": [
            {"lowest_bpp": low, "highest_bpp": high, "bd_rates": _list_savings(savings)}
            for (low, high), savings in decision.bands.items()
        ],
        "groups": [
            {"column": column, "value": value, "bd_rates": _list_savings(savings)}
            for (column, value), savings in decision.groups.items()
        ],
        "preference": _preference_to_dict(decision),
        "times": _times_to_dict(decision),
        "quality_control": _quality_control_to_dict(decision),
    }
    cleaned = replace_non_finite(result)
    assert isinstance(cleaned, dict)
    return cleaned


def _list_savings(savings: Savings, images: list[str] | None = None) -> list[dict[str, Any]]:
    return [_saving_to_dict(saving, images) for saving in savings.values()]


def _saving_to_dict(saving: Saving, images: list[str] | None) -> dict[str, Any]:
    numbers = {
        name: None if estimate is None else asdict(estimate)
        for name, estimate in (
            ("mean", saving.mean),
            ("median", saving.median),
            ("mean_curves", saving.curve),
        )
    }
    result = {
        "codec": saving.codec,
        "metric": saving.metric,
        **numbers,
        "not_valid_because": saving.reason,
        "mean_curves_not_valid_because": saving.curve_flag,
        "images": len(saving.per_image),
        "valid_images": saving.valid,
        "not_valid_images": {str(flag): count for flag, count in saving.flags.items()},
    }
    if images is not None:
        numbers = np.asarray(saving.per_image).tolist()
        result["per_image"] = dict(zip(images, numbers, strict=True))
    return result


def _preference_to_dict(decision: Decision) -> dict[str, Any]:
    preference = decision.preference
    return {
        "not_valid_because": preference.missing,
        "notes": list(preference.notes),
        "images": preference.images,
        "ranks": [asdict(rank) for rank in preference.ranks],
        "shares": [
            {"codec": codec, "preferred_to": other, **asdict(share)}
            for (codec, other), share in preference.shares.items()
        ],
        "bands": [asdict(band) for band in preference.bands],
    }


def _times_to_dict(decision: Decision) -> dict[str, Any]:
    times = decision.times

    def describe(codecs: Mapping[str, CodecTimes]) -> dict[str, Any]:
        return {
            codec: {
                "seconds_per_megapixel": asdict(time.seconds),
                "cells": time.cells,
                "memory_bytes": time.memory,
            }
            for codec, time in codecs.items()
        }

    return {
        "not_valid_because": times.reason,
        "notes": list(times.notes),
        "encode": describe(times.encode),
        "decode": describe(times.decode),
        "fronts": [
            {
                "direction": front.direction,
                "metric": front.metric,
                "points": [
                    {"codec": codec, "seconds_per_megapixel": seconds, "bd_rate": percent}
                    for codec, (seconds, percent) in front.points.items()
                ],
                "best": list(front.best),
                "excluded": dict(front.excluded),
            }
            for front in times.fronts.values()
        ],
    }


def _quality_control_to_dict(decision: Decision) -> dict[str, Any]:
    control = decision.quality_control
    return {
        "findings": [asdict(finding) for finding in control.findings],
        "failures": [
            {"codec": codec, "error_kind": kind, "rows": rows}
            for (codec, kind), rows in control.failures.items()
        ],
        "provenance": None if control.provenance is None else asdict(control.provenance),
        "verification": control.verification,
    }
