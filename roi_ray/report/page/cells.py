"""The cells of a sweep in the page: rows of its table and points of its scatter."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roi_ray import schema
from roi_ray.decision.decide import Decision
from roi_ray.decision.score_table import MISSING, SweepScores
from roi_ray.report.page.text import name_images, round_number
from roi_ray.runtime.words import count_noun

MAX_ROWS = 2_000
"""The most rows in the page's table."""

MAX_POINTS = 4_000
"""The most points in the page's scatter of two metrics."""

Rows = NDArray[np.int64]


def build_cells(decision: Decision) -> dict[str, Any]:
    """Choose the cells of the table and of the scatter.

    The table has failed cells first, then cells by how far they are from the middle of all cells
    by the deciding metric, the most extreme ones first.

    Returns:
        JSON values: `images` and `codecs` are lists of names, to which `rows` and `points` refer by
        number; `columns` are the numeric columns; `rows` and `points` are columns by name.
    """
    scores = decision.scores
    failed, scored = _find_failed(scores), _find_scored(decision)
    total = len(failed) + len(scored)
    extreme = _sort_by_extremity(scores, scored, decision.metrics[0])
    shown = np.concatenate([failed, extreme])[:MAX_ROWS]
    points = scored
    if len(points) > MAX_POINTS:
        points = np.sort(np.random.default_rng(0).choice(points, MAX_POINTS, replace=False))
    wanted = np.unique(np.concatenate([shown, points])).tolist()
    cells = dict(zip(wanted, scores.read_rows(wanted), strict=True))
    rows, drawn = ([cells[row] for row in part.tolist()] for part in (shown, points))
    images, codecs = (
        sorted({_text(cell.get(name)) for cell in cells.values()})
        for name in (schema.REFERENCE, schema.CODEC)
    )
    numbers = [schema.BPP, *decision.metrics]
    times = [n for n in (schema.ENCODE_SECONDS, schema.DECODE_SECONDS) if n in scores.column_names]
    return {
        "images": name_images(images),
        "codecs": codecs,
        "columns": numbers + times,
        "rows": {
            **_to_columns(rows, images, codecs, numbers + times),
            **{name: [cell.get(name) for cell in rows] for name in schema.ERRORS},
        },
        "points": _to_columns(drawn, images, codecs, numbers),
        "rowNote": _describe_rows(len(shown), total),
        "pointNote": _describe_points(len(points), len(scored)),
    }


def _find_failed(scores: SweepScores) -> Rows:
    """Find the rows with an error, of all codecs."""
    if schema.ERROR not in scores.column_names:
        return np.zeros(0, np.int64)
    return np.flatnonzero(scores.categories(schema.ERROR)[0] >= 0)


def _find_scored(decision: Decision) -> Rows:
    """Find the scored rows of the codecs that are compared."""
    rows = np.concatenate([decision.scores.codecs[c].rows.ravel() for c in decision.codecs])
    return np.sort(rows[rows != MISSING])


def _sort_by_extremity(scores: SweepScores, rows: Rows, metric: str) -> Rows:
    """Sort rows by the distance of their rank from the middle rank, the largest first.

    Rows without a number come last.
    """
    values = scores.numbers(metric)[rows]
    known = np.flatnonzero(np.isfinite(values))
    distance = np.full(len(rows), -1.0)
    order = known[np.argsort(values[known], kind="stable")]
    distance[order] = np.abs(np.arange(len(order)) - (len(order) - 1) / 2)
    return rows[np.argsort(-distance, kind="stable")]


def _to_columns(
    cells: Sequence[Mapping[str, Any]],
    images: Sequence[str],
    codecs: Sequence[str],
    numbers: Sequence[str],
) -> dict[str, list[Any]]:
    image_number = {name: number for number, name in enumerate(images)}
    codec_number = {name: number for number, name in enumerate(codecs)}
    return {
        "image": [image_number[_text(cell.get(schema.REFERENCE))] for cell in cells],
        "codec": [codec_number[_text(cell.get(schema.CODEC))] for cell in cells],
        "point": [_name_point(cell) for cell in cells],
        **{name: [_number(cell.get(name)) for cell in cells] for name in numbers},
    }


def _name_point(cell: Mapping[str, Any]) -> str:
    """Name what was asked for, such as `quality 35`; empty if the row does not say."""
    metric, value = cell.get(schema.TARGET_METRIC), cell.get(schema.TARGET)
    if metric is None or value is None:
        metric, value = schema.QUALITY, cell.get(schema.QUALITY)
    if value is None:
        return ""
    return f"{metric} {value:g}" if isinstance(value, float) else f"{metric} {value}"


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _number(value: object) -> float | None:
    """Convert to a number of six digits; None for what is none."""
    try:
        return round_number(float(str(value)), 6)
    except ValueError:
        return None


def _describe_rows(shown: int, total: int) -> str:
    if shown == total:
        return f"All {count_noun(total, 'cell')} of the sweep."
    return (
        f"{shown:,} of {total:,} cells: failed ones first, then the best and the worst by the "
        "deciding metric. `roi-ray export` writes all of them."
    )


def _describe_points(shown: int, total: int) -> str:
    if shown == total:
        return f"All {count_noun(total, 'scored cell')}."
    return f"A random sample of {shown:,} of {total:,} scored cells."
